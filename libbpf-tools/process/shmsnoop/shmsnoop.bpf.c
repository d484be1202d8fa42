// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/syscall.bpf.h"
#include "shmsnoop.h"

const volatile struct shmsnoop_config cfg = {};

struct shm_args {
	__u64 a[3];
};
SYSCALL_ARGS(struct shm_args)

static __always_inline int report(void *ctx, enum shm_call call, const struct shm_args *args,
				  long ret)
{
	struct shm_event e = {};

	/* An address that shmat returns is no errno. */
	if (!asked_for(!cfg.failed || (ret < 0 && ret >= -4095)))
		return 0;
	task_info_current(&e.task);
	e.call = call;
	__builtin_memcpy(e.a, args->a, sizeof(e.a));
	e.ret = ret;
	event_output(ctx, &e, sizeof(e));
	return 0;
}

static __always_inline int leave_regs(void *ctx, enum shm_call call, const struct pt_regs *regs,
				      long ret)
{
	struct shm_args args;

	if (!filter_current())
		return 0;
	args.a[0] = PT_REGS_PARM1_SYSCALL(regs);
	args.a[1] = PT_REGS_PARM2_SYSCALL(regs);
	args.a[2] = PT_REGS_PARM3_SYSCALL(regs);
	return report(ctx, call, &args, ret);
}

static __always_inline int enter(struct syscall_enter *c, int count)
{
	struct shm_args args = {};

	if (!filter_current())
		return 0;
	/* A tracepoint's context holds no more than the call has. */
	args.a[0] = c->args[0];
	if (count > 1) {
		args.a[1] = c->args[1];
		args.a[2] = c->args[2];
	}
	args_keep(&args);
	return 0;
}

static __always_inline int leave(struct syscall_exit *c, enum shm_call call)
{
	struct shm_args args;

	return args_take(&args) ? report(c, call, &args, c->ret) : 0;
}

#define SHM(name, call, arguments)                                                        \
	SEC("fexit/" SYSCALL #name)                                                       \
	int BPF_PROG(fexit_##name, const struct pt_regs *regs, long ret)                  \
	{                                                                                 \
		return leave_regs(ctx, call, regs, ret);                                  \
	}                                                                                 \
	SEC("tracepoint/syscalls/sys_enter_" #name)                                       \
	int enter_##name(struct syscall_enter *c) { return enter(c, arguments); }         \
	SEC("tracepoint/syscalls/sys_exit_" #name)                                        \
	int exit_##name(struct syscall_exit *c) { return leave(c, call); }

SHM(shmget, CALL_SHMGET, 3)
SHM(shmat, CALL_SHMAT, 3)
SHM(shmdt, CALL_SHMDT, 1)
SHM(shmctl, CALL_SHMCTL, 3)
