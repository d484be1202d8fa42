// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/path.bpf.h"
#include "bpf/syscall.bpf.h"
#include "opensnoop.h"

struct open_args {
	const char *path;
	int dfd;
	__u32 flags, mode;
};

const volatile struct open_config cfg = {};
EVENT_SCRATCH(struct open_event, 1)
HASH_MAP(pending, __u32, struct open_args, 16384);

static __always_inline struct open_event *begin(const struct open_args *args, int ret)
{
	struct open_event *e = event_scratch(0);
	__u64 ids = current_ids();

	if (!e)
		return NULL;
	e->time_ns = bpf_ktime_get_ns();
	e->pid = ids >> 32;
	e->tid = ids;
	e->uid = bpf_get_current_uid_gid();
	e->ret = ret;
	e->flags = args->flags;
	e->mode = args->mode;
	e->dir_len = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	return e;
}

/* Sends the event with the `n` bytes of path that are in its data; negative: none could be read. */
static __always_inline void finish(void *ctx, struct open_event *e, const struct open_args *args,
				   long n)
{
	__u64 size;

	if (n < 0 || n > PATH_LEN)
		n = 0;
	e->path_len = n;
	if (cfg.full_path && n && e->data[0] != '/')
		path_walk_dfd(args->dfd, e->data + n, &e->dir_len);
	size = offsetof(struct open_event, data) + n + e->dir_len;
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
}

static __always_inline void report(void *ctx, const struct open_args *args, int ret)
{
	struct open_event *e = begin(args, ret);

	if (e)
		finish(ctx, e, args, bpf_probe_read_user_str(e->data, PATH_LEN, args->path));
}

static __always_inline bool wanted(__u32 flags)
{
	if (!filter_current())
		return false;
	if (cfg.flag_mask && !(flags & cfg.flag_mask)) {
		count_filtered();
		return false;
	}
	return true;
}

static __always_inline bool wanted_result(int ret)
{
	if (!cfg.failed || ret < 0)
		return true;
	count_filtered();
	return false;
}

/* One function behind open, openat, openat2 and creat. `int` since 7.2, `long` before. */
SEC("fexit/do_sys_openat2")
int BPF_PROG(open_fexit, int dfd, const char *path, struct open_how *how, long ret)
{
	struct open_args args = {
		.path = path, .dfd = dfd, .flags = how->flags, .mode = how->mode
	};

	if (wanted_result(ret) && wanted(args.flags))
		report(ctx, &args, ret);
	return 0;
}

/* The lower rungs see the arguments at entry and the result at return. */
static __always_inline int enter(const char *path, int dfd, __u32 flags, __u32 mode)
{
	struct open_args args = { .path = path, .dfd = dfd, .flags = flags, .mode = mode };
	__u32 tid = bpf_get_current_pid_tgid();

	if (wanted(flags) && bpf_map_update_elem(&pending, &tid, &args, BPF_ANY))
		count_lost_map();
	return 0;
}

static __always_inline int leave(void *ctx, int ret)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct open_args *args = bpf_map_lookup_elem(&pending, &tid);

	if (!args)
		return 0;
	if (wanted_result(ret))
		report(ctx, args, ret);
	bpf_map_delete_elem(&pending, &tid);
	return 0;
}

#define AT_FDCWD -100
#define O_CREAT_WRONLY_TRUNC 01101

SEC("tracepoint/syscalls/sys_enter_open")
int enter_open(struct syscall_enter *ctx)
{
	return enter((void *)ctx->args[0], AT_FDCWD, ctx->args[1], ctx->args[2]);
}

SEC("tracepoint/syscalls/sys_enter_creat")
int enter_creat(struct syscall_enter *ctx)
{
	return enter((void *)ctx->args[0], AT_FDCWD, O_CREAT_WRONLY_TRUNC, ctx->args[1]);
}

SEC("tracepoint/syscalls/sys_enter_openat")
int enter_openat(struct syscall_enter *ctx)
{
	return enter((void *)ctx->args[1], ctx->args[0], ctx->args[2], ctx->args[3]);
}

SEC("tracepoint/syscalls/sys_enter_openat2")
int enter_openat2(struct syscall_enter *ctx)
{
	struct open_how how = {};

	bpf_probe_read_user(&how, sizeof(how), (void *)ctx->args[2]);
	return enter((void *)ctx->args[1], ctx->args[0], how.flags, how.mode);
}

SEC("tracepoint/syscalls/sys_exit_open")
int leave_open(struct syscall_exit *ctx)
{
	return leave(ctx, ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_creat")
int leave_creat(struct syscall_exit *ctx)
{
	return leave(ctx, ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_openat")
int leave_openat(struct syscall_exit *ctx)
{
	return leave(ctx, ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_openat2")
int leave_openat2(struct syscall_exit *ctx)
{
	return leave(ctx, ctx->ret);
}

SEC("kprobe/do_sys_openat2")
int BPF_KPROBE(open_kprobe, int dfd, const char *path, struct open_how *how)
{
	return enter(path, dfd, BPF_CORE_READ(how, flags), BPF_CORE_READ(how, mode));
}

SEC("kretprobe/do_sys_openat2")
int BPF_KRETPROBE(open_kretprobe, int ret)
{
	return leave(ctx, ret);
}

/* io_uring opens without do_sys_openat2(). Its own function is entered with the kernel's copy of the
 * name, which is gone at return, so the name is kept in between. */
struct uring_open {
	struct open_args args;
	struct io_kiocb *req;
	__u32 issue_flags;
	__u32 path_len;
	char path[PATH_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct uring_open);
} uring_pending SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct uring_open);
} uring_scratch SEC(".maps");

struct io_open___pre_v7 {
	struct filename *filename;
} __attribute__((preserve_access_index));

struct delayed_filename___v7 {
	struct filename *__incomplete_filename;
} __attribute__((preserve_access_index));

struct io_open___v7 {
	struct delayed_filename___v7 filename;
} __attribute__((preserve_access_index));

/* cef216fc32d7 (v5.19): io_kiocb.result became io_kiocb.cqe.res. */
struct io_kiocb___pre_v5_19 {
	__u32 result;
} __attribute__((preserve_access_index));

#define IO_URING_F_COMPLETE_DEFER___pre_v5_19 2

static __always_inline int uring_enter(struct io_kiocb *req, __u32 issue_flags)
{
	struct io_open *open = (void *)req; /* the command is the first member of every io_kiocb */
	struct io_open___pre_v7 *old = (void *)req;
	struct io_open___v7 *now = (void *)req;
	__u32 zero = 0, tid = bpf_get_current_pid_tgid(), flags = BPF_CORE_READ(open, how.flags);
	struct uring_open *pending = bpf_map_lookup_elem(&uring_scratch, &zero);
	struct filename *name;
	long n;

	if (!pending || !wanted(flags))
		return 0;
	if (bpf_core_field_exists(old->filename))
		name = BPF_CORE_READ(old, filename);
	else
		name = BPF_CORE_READ(now, filename.__incomplete_filename);
	pending->req = req;
	pending->issue_flags = issue_flags;
	pending->args.flags = flags;
	pending->args.mode = BPF_CORE_READ(open, how.mode);
	pending->args.dfd = BPF_CORE_READ(open, dfd);
	n = bpf_probe_read_kernel_str(pending->path, PATH_LEN, BPF_CORE_READ(name, name));
	pending->path_len = n < 0 ? 0 : n;
	if (bpf_map_update_elem(&uring_pending, &tid, pending, BPF_ANY))
		count_lost_map();
	return 0;
}

static __always_inline int uring_leave(void *ctx, int ret)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct uring_open *pending = bpf_map_lookup_elem(&uring_pending, &tid);
	struct io_kiocb___pre_v5_19 *old;
	struct open_event *e;
	struct io_kiocb *req;

	if (!pending)
		return 0;
	/* It would have blocked: it comes again, from a worker thread. */
	if (ret == -11 /* EAGAIN */)
		goto out;
	req = pending->req;
	old = (void *)req;
	if (!bpf_core_field_exists(old->result))
		ret = BPF_CORE_READ(req, cqe.res);
	else if (pending->issue_flags & IO_URING_F_COMPLETE_DEFER___pre_v5_19)
		ret = BPF_CORE_READ(old, result);
	else
		ret = OPEN_RESULT_UNKNOWN; /* posted to user space, and the request freed */
	if (!wanted_result(ret))
		goto out;
	e = begin(&pending->args, ret);
	if (e) {
		__u32 n = pending->path_len;

		if (n <= PATH_LEN)
			bpf_probe_read_kernel(e->data, n, pending->path);
		finish(ctx, e, &pending->args, n);
	}
out:
	bpf_map_delete_elem(&uring_pending, &tid);
	return 0;
}

SEC("fentry/io_openat2")
int BPF_PROG(uring_fentry, struct io_kiocb *req, unsigned int issue_flags)
{
	return uring_enter(req, issue_flags);
}

SEC("fexit/io_openat2")
int BPF_PROG(uring_fexit, struct io_kiocb *req, unsigned int issue_flags, int ret)
{
	return uring_leave(ctx, ret);
}

SEC("kprobe/io_openat2")
int BPF_KPROBE(uring_kprobe, struct io_kiocb *req, unsigned int issue_flags)
{
	return uring_enter(req, issue_flags);
}

SEC("kretprobe/io_openat2")
int BPF_KRETPROBE(uring_kretprobe, int ret)
{
	return uring_leave(ctx, ret);
}
