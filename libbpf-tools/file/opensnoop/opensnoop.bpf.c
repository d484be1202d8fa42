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

static __always_inline int report(void *ctx, const struct open_args *args, int ret)
{
	struct open_event *e = event_scratch(0);
	__u64 ids = current_ids();
	__u64 size;
	long n;

	if (!e)
		return 0;
	e->time_ns = bpf_ktime_get_ns();
	e->pid = ids >> 32;
	e->tid = ids;
	e->uid = bpf_get_current_uid_gid();
	e->ret = ret;
	e->flags = args->flags;
	e->mode = args->mode;
	e->dir_len = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	n = bpf_probe_read_user_str(e->data, PATH_LEN, args->path);
	if (n < 0 || n > PATH_LEN)
		n = 0;
	e->path_len = n;
	if (cfg.full_path && n && e->data[0] != '/')
		path_walk_dfd(args->dfd, e->data + n, &e->dir_len);
	size = offsetof(struct open_event, data) + n + e->dir_len;
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
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
