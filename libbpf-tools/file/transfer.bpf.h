/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every call that moves bytes from or to a file, with how many it moved: the programs of filetop and
 * dirtop. The tool defines transferred(). 5.10+. */
#pragma once
#include "bpf/filter.bpf.h"
#include "bpf/io_kiocb.bpf.h"
#include "copies.bpf.h"
#include "transfer.h"

const volatile struct transfer_config transfer = {};
HASH_MAP(cb_args, __u64, struct file *, 16384); /* without fexit: calls under way */

static __always_inline void transfer_add(struct transfer_sums *sums, long ret, bool write)
{
	__u64 bytes = ret > 0 ? ret : 0;

	__sync_fetch_and_add(write ? &sums->writes : &sums->reads, 1);
	if (bytes)
		__sync_fetch_and_add(write ? &sums->write_bytes : &sums->read_bytes, bytes);
}

/* A call moved `ret` bytes, or failed. `direct`: see GET. */
static __always_inline void transferred(struct file *file, long ret, bool write, bool direct);

SEC("fexit/vfs_read")
int BPF_PROG(read_fexit, struct file *file, char *buf, size_t size, loff_t *pos, long ret)
{
	if (filter_current())
		transferred(file, ret, false, true);
	return 0;
}

SEC("fexit/vfs_write")
int BPF_PROG(write_fexit, struct file *file, char *buf, size_t size, loff_t *pos, long ret)
{
	if (filter_current())
		transferred(file, ret, true, true);
	return 0;
}

SEC("fexit/vfs_readv")
int BPF_PROG(readv_fexit, struct file *file, struct iovec *vec, long n, loff_t *pos, int flags,
	     long ret)
{
	if (filter_current())
		transferred(file, ret, false, true);
	return 0;
}

SEC("fexit/vfs_writev")
int BPF_PROG(writev_fexit, struct file *file, struct iovec *vec, long n, loff_t *pos, int flags,
	     long ret)
{
	if (filter_current())
		transferred(file, ret, true, true);
	return 0;
}

/* From file to file or socket inside the kernel: a read of the one and a write of the other. */
static __always_inline void copy(struct file *in, struct file *out, long ret, bool direct)
{
	if (!transfer.no_reads)
		transferred(in, ret, false, direct);
	if (out && !transfer.no_writes)
		transferred(out, ret, true, direct);
}

static __always_inline int copied(struct file *in, struct file *out, long ret)
{
	if (filter_current())
		copy(in, out, ret, true);
	return 0;
}

/* sendfile(2), but not to a pipe; before 6.8 also copy_file_range(2), where the file system does not
 * share blocks instead. */
SEC("fexit/do_splice_direct")
int BPF_PROG(splice_fexit, struct file *in, loff_t *in_pos, struct file *out,
	     loff_t *out_pos, size_t size, unsigned int flags, long ret)
{
	return copied(in, out, ret);
}

/* copy_file_range(2) since 6.8. */
SEC("fexit/splice_file_range")
int BPF_PROG(range_fexit, struct file *in, loff_t *in_pos, struct file *out,
	     loff_t *out_pos, size_t size, long ret)
{
	return copied(in, out, ret);
}

/* splice(2) and sendfile(2) to a pipe, since 5.12. */
SEC("fexit/splice_file_to_pipe")
int BPF_PROG(pipe_fexit, struct file *in, void *pipe, loff_t *offset, size_t size,
	     unsigned int flags, long ret)
{
	return copied(in, NULL, ret);
}

static __always_inline bool copy_wanted(struct file *in)
{
	return filter_current();
}

static __always_inline int copy_done(void *ctx, const struct copying *copied, enum copy_call call,
				     long ret)
{
	copy(copied->in, copied->out, ret, false);
	return 0;
}

/* io_uring reads and writes without vfs_read(), in its caller or in one of its worker threads. When
 * io_read() returns 0 the request is done and what it moved stands in it. Before 5.19 that is so
 * only where completions are collected; elsewhere the request may be gone already. */
static __always_inline int uring(struct io_kiocb *req, __u32 flags, int ret, bool write)
{
	struct io_kiocb___pre_v5_19 *old = (void *)req;

	if (ret == -EAGAIN || ret > 0 || ret <= -MAX_USER_ERRNO || !filter_current())
		return 0;
	if (!bpf_core_field_exists(old->result)) {
		if (!ret)
			ret = req->cqe.res;
	} else if (flags & IO_URING_F_COMPLETE_DEFER___pre_v5_19) {
		if (!ret)
			ret = old->result;
	} else {
		return 0;
	}
	if (!(write ? transfer.no_writes : transfer.no_reads))
		transferred(req->file, ret, write, true);
	return 0;
}

SEC("fexit/io_read")
int BPF_PROG(uring_rd_fexit, struct io_kiocb *req, __u32 flags, int ret)
{
	return uring(req, flags, ret, false);
}

SEC("fexit/io_write")
int BPF_PROG(uring_wr_fexit, struct io_kiocb *req, __u32 flags, int ret)
{
	return uring(req, flags, ret, true);
}

/* The lowest rung sees the file at entry and the result at return. */
static __always_inline int enter(struct file *file, bool write)
{
	__u64 call = (__u64)write << 32 | (__u32)bpf_get_current_pid_tgid();

	if (filter_current())
		call_keep(&cb_args, &call, &file);
	return 0;
}

static __always_inline int leave(long ret, bool write)
{
	__u64 call = (__u64)write << 32 | (__u32)bpf_get_current_pid_tgid();
	struct file **file = bpf_map_lookup_elem(&cb_args, &call);

	if (!file)
		return 0;
	transferred(*file, ret, write, false);
	bpf_map_delete_elem(&cb_args, &call);
	return 0;
}

#define KPROBES(name, function, write)                                  \
	SEC("kprobe/" #function)                                        \
	int BPF_KPROBE(enter_##name, struct file *file)                 \
	{                                                               \
		return enter(file, write);                              \
	}                                                               \
	SEC("kretprobe/" #function)                                     \
	int BPF_KRETPROBE(leave_##name, long ret)                       \
	{                                                               \
		return leave(ret, write);                               \
	}

KPROBES(read, vfs_read, false)
KPROBES(readv, vfs_readv, false)
KPROBES(write, vfs_write, true)
KPROBES(writev, vfs_writev, true)
