// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fileslower.h"

#define CALL_KINDS FILE_CALLS
#include "../call_time.bpf.h"
#include "../slow_file.bpf.h"
#include "../copies.bpf.h"
#include "bpf/io_kiocb.bpf.h"
#include "bpf/mode.bpf.h"

const volatile struct fileslower_config files = {};

static __always_inline bool wanted(struct file *file)
{
	return filter_current() &&
	       asked_for(files.all_files ||
			 (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFREG);
}

static __always_inline int enter(struct file *file, __u32 call)
{
	if (wanted(file))
		call_enter(call, false);
	return 0;
}

static __always_inline int leave(void *ctx, struct file *file, __u32 call, long ret)
{
	__u64 ns;

	if (!call_leave(call, &ns) || !asked_for(ns >= cfg.min_ns))
		return 0;
	return slow_report_file(ctx, call, ns, ret, -1, file);
}

/* The two programs of a function, for its arguments up to the file and from there to the result. */
#define TIMED(name, function, call, ...)                                            \
	SEC("fentry/" #function)                                                    \
	int BPF_PROG(name##_fentry, struct file *file) { return enter(file, call); } \
	SEC("fexit/" #function)                                                     \
	int BPF_PROG(name##_fexit, struct file *file, __VA_ARGS__, long ret)        \
	{                                                                           \
		return leave(ctx, file, call, ret);                                 \
	}

TIMED(read, vfs_read, CALL_READ, void *buf, size_t size, loff_t *pos)
TIMED(write, vfs_write, CALL_WRITE, void *buf, size_t size, loff_t *pos)
TIMED(readv, vfs_readv, CALL_READV, void *vec, long n, loff_t *pos, int flags)
TIMED(writev, vfs_writev, CALL_WRITEV, void *vec, long n, loff_t *pos, int flags)
/* sendfile(2), but not to a pipe; before 6.8 also copy_file_range(2). */
TIMED(splice, do_splice_direct, CALL_SPLICE, void *in_pos, void *out, void *out_pos, size_t size, int flags)
/* copy_file_range(2) since 6.8, where the file system does not share blocks instead. */
TIMED(range, splice_file_range, CALL_RANGE, void *in_pos, void *out, void *out_pos, size_t size)
/* splice(2) and sendfile(2) to a pipe, since 5.12. */
TIMED(pipe, splice_file_to_pipe, CALL_PIPE, void *pipe, void *offset, size_t size, int flags)

static __always_inline bool copy_wanted(struct file *in)
{
	return wanted(in);
}

static __always_inline int copy_done(void *ctx, const struct copying *copy, enum copy_call call,
				     long ret)
{
	__u64 ns = time_since(copy->start_ns);

	if (!asked_for(ns >= cfg.min_ns))
		return 0;
	return slow_report_file(ctx, CALL_SPLICE + call, ns, ret, -1, copy->in);
}

/* io_read() and io_write() that would wait return -EAGAIN and are called again by a worker thread.
 * Before 5.19 the request may be gone when they return. */
static __always_inline int uring_leave(void *ctx, struct io_kiocb *req, __u32 call, int ret)
{
	struct io_kiocb___pre_v5_19 *old = (void *)req;
	__u64 ns;

	if (bpf_core_field_exists(old->result) || !call_leave(call, &ns) ||
	    !asked_for(ret != -EAGAIN && ret <= 0 && ret > -MAX_USER_ERRNO && ns >= cfg.min_ns))
		return 0;
	return slow_report_file(ctx, call, ns, ret ? ret : BPF_CORE_READ(req, cqe.res), -1,
				BPF_CORE_READ(req, file));
}

static __always_inline int uring_enter(struct io_kiocb *req, __u32 call)
{
	struct io_kiocb___pre_v5_19 *old = (void *)req;

	return bpf_core_field_exists(old->result) ? 0 : enter(BPF_CORE_READ(req, file), call);
}

SEC("fentry/io_read")
int BPF_PROG(uring_rd_fentry, struct io_kiocb *req) { return uring_enter(req, CALL_URING_READ); }
SEC("fexit/io_read")
int BPF_PROG(uring_rd_fexit, struct io_kiocb *req, __u32 flags, int ret)
{
	return uring_leave(ctx, req, CALL_URING_READ, ret);
}
SEC("fentry/io_write")
int BPF_PROG(uring_wr_fentry, struct io_kiocb *req) { return uring_enter(req, CALL_URING_WRITE); }
SEC("fexit/io_write")
int BPF_PROG(uring_wr_fexit, struct io_kiocb *req, __u32 flags, int ret)
{
	return uring_leave(ctx, req, CALL_URING_WRITE, ret);
}

#define KPROBES(name, function, call)                                               \
	SEC("kprobe/" #function)                                                    \
	int BPF_KPROBE(name##_kprobe, struct file *file)                            \
	{                                                                           \
		if (wanted(file)) {                                                 \
			call_keep_object(call, file, 0);                            \
			call_enter(call, true);                                     \
		}                                                                   \
		return 0;                                                           \
	}                                                                           \
	SEC("kretprobe/" #function)                                                 \
	int BPF_KRETPROBE(name##_kretp, long ret)                                   \
	{                                                                           \
		return leave(ctx, (void *)call_kept_object(call).object, call, ret); \
	}

KPROBES(read, vfs_read, CALL_READ)
KPROBES(write, vfs_write, CALL_WRITE)
KPROBES(readv, vfs_readv, CALL_READV)
KPROBES(writev, vfs_writev, CALL_WRITEV)
