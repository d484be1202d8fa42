// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/path.bpf.h"
#include "bpf/syscall.bpf.h"
#include "../file_name.bpf.h"
#include "statsnoop.h"

#define AT_EMPTY_PATH 0x1000

const volatile struct stat_config cfg = {};
/* A slot for each call: its program may interrupt another where the kernel preempts itself. */
EVENT_SCRATCH(struct stat_event, STAT_CALLS)

/* The arguments, whatever the call. */
struct stat_args {
	int dfd; /* where a relative path starts, or the file itself */
	__u32 flags;
	const char *path;
};
SYSCALL_ARGS(struct stat_args)

static __always_inline struct stat_args stat_args(enum stat_call call, const __u64 *a)
{
	switch (call) {
	case CALL_FSTAT:
	case CALL_FSTATFS:
		return (struct stat_args){ .dfd = a[0], .flags = AT_EMPTY_PATH };
	case CALL_FSTATAT:
		return (struct stat_args){ .dfd = a[0], .flags = a[3], .path = (void *)a[1] };
	case CALL_STATX:
		return (struct stat_args){ .dfd = a[0], .flags = a[2], .path = (void *)a[1] };
	default:
		return (struct stat_args){ .dfd = AT_FDCWD, .path = (void *)a[0] };
	}
}

static __always_inline int report(void *ctx, enum stat_call call, const struct stat_args *args,
				  int ret)
{
	struct stat_event *e = event_scratch(call);
	__u64 size;

	if (!e)
		return 0;
	task_info_current(&e->task);
	e->ret = ret;
	e->call = call;
	e->file.magic = 0;
	e->file.known = true;
	e->file.deleted = false;
	if (args->path)
		size = path_record_fill(&e->file.path, args->path, 0, args->dfd, true);
	else
		size = path_record_none(&e->file.path);
	size += offsetof(struct file_name, path);
	/* With this flag an empty path, since 6.11 none too, means the file of `dfd` itself. */
	if ((args->flags & AT_EMPTY_PATH) && (!args->path || e->file.path.path_len == 1)) {
		if (args->dfd == AT_FDCWD)
			size = offsetof(struct file_name, path) + path_record_cwd(&e->file.path);
		else
			size = file_name_fill(&e->file, path_file(args->dfd));
	}
	size += offsetof(struct stat_event, file);
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

static __always_inline int leave_fexit(void *ctx, enum stat_call call, const struct pt_regs *regs,
				       long ret)
{
	__u64 a[4];
	struct stat_args args;

	if (!filter_current() || !asked_for(!cfg.failed || ret < 0))
		return 0;
	a[0] = PT_REGS_PARM1_CORE_SYSCALL(regs);
	a[1] = PT_REGS_PARM2_CORE_SYSCALL(regs);
	a[2] = PT_REGS_PARM3_CORE_SYSCALL(regs);
	a[3] = PT_REGS_PARM4_CORE_SYSCALL(regs);
	args = stat_args(call, a);
	return report(ctx, call, &args, ret);
}

static __always_inline int enter_tp(struct syscall_enter *ctx, enum stat_call call)
{
	struct stat_args args = stat_args(call, ctx->args);

	if (filter_current())
		args_keep(&args);
	return 0;
}

static __always_inline int leave_tp(struct syscall_exit *ctx, enum stat_call call)
{
	struct stat_args args;

	if (!args_take(&args) || !asked_for(!cfg.failed || ctx->ret < 0))
		return 0;
	return report(ctx, call, &args, ctx->ret);
}

/* The programs of one system call: NAME_fexit, or NAME_enter and NAME_leave. */
#define STAT_CALL(name, call, syscall)                                                             \
	SEC("fexit/" SYSCALL syscall)                                                              \
	int BPF_PROG(name##_fexit, const struct pt_regs *regs, long ret)                           \
	{                                                                                          \
		return leave_fexit(ctx, call, regs, ret);                                          \
	}                                                                                          \
	SEC("tracepoint/syscalls/sys_enter_" syscall)                                              \
	int name##_enter(struct syscall_enter *ctx) { return enter_tp(ctx, call); }                \
	SEC("tracepoint/syscalls/sys_exit_" syscall)                                               \
	int name##_leave(struct syscall_exit *ctx) { return leave_tp(ctx, call); }

STAT_CALL(stat, CALL_STAT, "newstat")
STAT_CALL(lstat, CALL_LSTAT, "newlstat")
STAT_CALL(fstat, CALL_FSTAT, "newfstat")
STAT_CALL(fstatat, CALL_FSTATAT, "newfstatat")
STAT_CALL(statx, CALL_STATX, "statx")
STAT_CALL(statfs, CALL_STATFS, "statfs")
STAT_CALL(fstatfs, CALL_FSTATFS, "fstatfs")
