// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/session.bpf.h"
#include "bpf/syscall.bpf.h"
#include "../file_name.bpf.h"
#include "syncsnoop.h"

/* A slot for each call: its program may interrupt another where the kernel preempts itself. */
EVENT_SCRATCH(struct sync_event, SYNC_CALLS)
SYSCALL_ARGS(struct sync_args)

static __always_inline int leave(void *ctx, enum sync_call call, long ret)
{
	struct sync_event *e = event_scratch(call);
	struct sync_args args;
	__u64 size;

	if (!e || !args_take(&args))
		return 0;
	task_info_current(&e->task);
	e->duration_ns = time_between(args.start_ns, e->task.time_ns);
	e->task.time_ns = args.start_ns;
	__builtin_memcpy(e->a, args.a, sizeof(e->a));
	e->ret = ret;
	e->call = call;
	size = file_name_fill(&e->file, call == CALL_SYNC || call == CALL_MSYNC ?
						NULL :
						path_file(args.a[0]));
	size += offsetof(struct sync_event, file);
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

/* The entry of a call that has its registers; false: it is not wanted. */
static __always_inline bool enter_regs(const struct pt_regs *regs)
{
	struct sync_args args = {};

	if (!filter_current())
		return false;
	args.start_ns = bpf_ktime_get_ns();
	args.a[0] = PT_REGS_PARM1_CORE_SYSCALL(regs);
	args.a[1] = PT_REGS_PARM2_CORE_SYSCALL(regs);
	args.a[2] = PT_REGS_PARM3_CORE_SYSCALL(regs);
	args.a[3] = PT_REGS_PARM4_CORE_SYSCALL(regs);
	args_keep(&args);
	return true;
}

static __always_inline bool enter_none(void)
{
	struct sync_args args = {};

	if (!filter_current())
		return false;
	args.start_ns = bpf_ktime_get_ns();
	args_keep(&args);
	return true;
}

/* `n`: as many as the call has; a program that reads more cannot be attached. */
static __always_inline int enter_tp(struct syscall_enter *ctx, int n)
{
	struct sync_args args = {};

	if (!filter_current())
		return 0;
	args.start_ns = bpf_ktime_get_ns();
	for (int i = 0; i < n; i++)
		args.a[i] = ctx->args[i];
	args_keep(&args);
	return 0;
}

/* The programs of one system call: NAME_fentry and NAME_fexit, or NAME_enter and NAME_leave. */
#define SYNC_TRACEPOINTS(name, call, syscall, n)                                                    \
	SEC("tracepoint/syscalls/sys_enter_" syscall)                                              \
	int name##_enter(struct syscall_enter *ctx) { return enter_tp(ctx, n); }                   \
	SEC("tracepoint/syscalls/sys_exit_" syscall)                                               \
	int name##_leave(struct syscall_exit *ctx) { return leave(ctx, call, ctx->ret); }

#define SYNC_CALL(name, call, syscall, n)                                                           \
	SEC("fentry/" SYSCALL syscall)                                                             \
	int BPF_PROG(name##_fentry, const struct pt_regs *regs)                                    \
	{                                                                                          \
		enter_regs(regs);                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	SEC("fexit/" SYSCALL syscall)                                                              \
	int BPF_PROG(name##_fexit, const struct pt_regs *regs, long ret)                           \
	{                                                                                          \
		return leave(ctx, call, ret);                                                      \
	}                                                                                          \
	SYNC_TRACEPOINTS(name, call, syscall, n)

SYNC_CALL(fsync, CALL_FSYNC, "fsync", 1)
SYNC_CALL(fdsync, CALL_FDATASYNC, "fdatasync", 1)
SYNC_CALL(msync, CALL_MSYNC, "msync", 3)
SYNC_CALL(range, CALL_SYNC_FILE_RANGE, "sync_file_range", 4)
SYNC_CALL(syncfs, CALL_SYNCFS, "syncfs", 1)

/* It has no arguments, and its function therefore no BTF (four kernels looked at). */
SYNC_TRACEPOINTS(sync, CALL_SYNC, "sync", 0)

SEC("kprobe/" SYSCALL "sync")
int BPF_KPROBE(sync_kprobe)
{
	enter_none();
	return 0;
}
SEC("kretprobe/" SYSCALL "sync")
int BPF_KRETPROBE(sync_kretprobe, long ret) { return leave(ctx, CALL_SYNC, ret); }

/* The calls that are less frequent, by one attachment: two for each take longer than all the rest of the
 * start. And while the tracepoint of any call is in use, every call of every task is slower. */
SEC("kprobe.session/" SYSCALL "sync," SYSCALL "msync," SYSCALL "sync_file_range," SYSCALL "syncfs")
int rare_session(struct pt_regs *ctx)
{
	enum sync_call call = bpf_get_attach_cookie(ctx);

	if (session_is_return(ctx))
		return leave(ctx, call, PT_REGS_RC(ctx));
	if (call == CALL_SYNC)
		return !enter_none();
	return !enter_regs((const struct pt_regs *)PT_REGS_PARM1(ctx));
}
