// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/session.bpf.h"
#include "bpf/syscall.bpf.h"
#include "setuidsnoop.h"

const volatile struct id_config cfg = {};

/* Who a thread was before its ids changed: from there to the end of the call or exec that changed
 * them. LRU: what changes them otherwise, if anything does, never takes its entry. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct identity);
} before SEC(".maps");

static __always_inline void identity_of(const struct cred *cred, struct identity *out)
{
	out->user.real = BPF_CORE_READ(cred, uid.val);
	out->user.effective = BPF_CORE_READ(cred, euid.val);
	out->user.saved = BPF_CORE_READ(cred, suid.val);
	out->user.fs = BPF_CORE_READ(cred, fsuid.val);
	out->group.real = BPF_CORE_READ(cred, gid.val);
	out->group.effective = BPF_CORE_READ(cred, egid.val);
	out->group.saved = BPF_CORE_READ(cred, sgid.val);
	out->group.fs = BPF_CORE_READ(cred, fsgid.val);
	out->groups = BPF_CORE_READ(cred, group_info, ngroups);
}

static __always_inline bool same_ids(const struct id_set *a, const struct id_set *b)
{
	return a->real == b->real && a->effective == b->effective && a->saved == b->saved &&
	       a->fs == b->fs;
}

static __always_inline int commits(const struct cred *new)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct cred *old = (struct cred *)BPF_CORE_READ(task, real_cred);
	__u32 tid = bpf_get_current_pid_tgid();
	struct identity then = {}, now = {};

	identity_of(old, &then);
	identity_of(new, &now);
	if (same_ids(&then.user, &now.user) && same_ids(&then.group, &now.group) &&
	    BPF_CORE_READ(old, group_info) == BPF_CORE_READ(new, group_info)) {
		/* What may be there is of a call that was not seen: not of this exec. */
		bpf_map_delete_elem(&before, &tid);
		return 0;
	}
	if (bpf_map_update_elem(&before, &tid, &then, BPF_ANY))
		count_lost_map();
	return 0;
}

SEC("fentry/commit_creds")
int BPF_PROG(commit_fentry, struct cred *new)
{
	return commits(new);
}

SEC("kprobe/commit_creds")
int BPF_KPROBE(commit_kprobe, struct cred *new)
{
	return commits(new);
}

/* One buffer a CPU for each program that may interrupt another: calls and execs do not nest. */
EVENT_SCRATCH(struct id_event, CALL_EXEC + 1)

static __noinline bool take_before(struct identity *then)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct identity *kept = bpf_map_lookup_elem(&before, &tid);

	if (!kept)
		return false;
	*then = *kept;
	bpf_map_delete_elem(&before, &tid);
	return true;
}

/* All of a record but what was requested. */
static __noinline struct id_event *begin(__u32 call, int ret)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct id_event *e = event_scratch(call);

	if (!e)
		return NULL;
	identity_of((struct cred *)BPF_CORE_READ(task, real_cred), &e->now);
	/* What is there of a call that failed is no change of its own. */
	if (!take_before(&e->old) || (ret < 0 && call != CALL_SETFSUID && call != CALL_SETFSGID))
		e->old = e->now;
	task_info_current(&e->task);
	e->ret = ret;
	e->call = call;
	return e;
}

struct id_args {
	__u64 a, b, c;
};
SYSCALL_ARGS(struct id_args)

static __always_inline int changed(void *ctx, enum id_call call, const struct id_args *args, int ret)
{
	struct id_event *e = begin(call, ret);
	__u64 size = offsetof(struct id_event, listed);
	bool set_fs = call == CALL_SETFSUID || call == CALL_SETFSGID;

	if (!e || !filter_current())
		return 0;
	e->requested[0] = args->a;
	e->requested[1] = args->b;
	e->requested[2] = args->c;
	/* These two return the old id, in the caller's user namespace as the argument is, and do not
	 * say whether they changed it. */
	e->failed = set_fs ? same_ids(&e->old.user, &e->now.user) &&
				     same_ids(&e->old.group, &e->now.group) && ret != (int)args->a :
			     ret < 0;
	if (!asked_for(!cfg.failed || e->failed))
		return 0;
	if (call == CALL_SETGROUPS) {
		__u32 n = args->a;

		if (n > ID_GROUPS)
			n = ID_GROUPS;
		if (bpf_probe_read_user(e->listed, n * sizeof(__u32), (void *)args->b))
			n = 0;
		e->n_listed = n;
		size += n * sizeof(__u32);
	}
	event_output(ctx, e, size);
	return 0;
}

/* Parameters, and the arguments of fexit and of a tracepoint, whose program may not read more than the
 * call has. */
#define PARAMS_1 __u32 a
#define PARAMS_2 __u32 a, __u32 b
#define PARAMS_3 __u32 a, __u32 b, __u32 c
#define FEXIT_1 a, 0, 0
#define FEXIT_2 a, b, 0
#define FEXIT_3 a, b, c
#define ENTER_1 ctx->args[0], 0, 0
#define ENTER_2 ctx->args[0], ctx->args[1], 0
#define ENTER_3 ctx->args[0], ctx->args[1], ctx->args[2]

static __always_inline int enter(struct id_args args)
{
	__u32 tid = bpf_get_current_pid_tgid();

	/* Of a 32-bit call, which has no tracepoints. */
	bpf_map_delete_elem(&before, &tid);
	args_keep(&args);
	return 0;
}

#define ID_TRACEPOINTS(name, call, n)                                                              \
	SEC("tracepoint/syscalls/sys_enter_" #name)                                                \
	int name##_enter(struct syscall_enter *ctx)                                                \
	{                                                                                          \
		return enter((struct id_args){ ENTER_##n });                                       \
	}                                                                                          \
	SEC("tracepoint/syscalls/sys_exit_" #name)                                                 \
	int name##_leave(struct syscall_exit *ctx)                                                 \
	{                                                                                          \
		struct id_args args;                                                               \
		return args_take(&args) ? changed(ctx, call, &args, ctx->ret) : 0;                 \
	}

/* The functions below the system calls, which 32-bit calls lead to as well. */
#define ID_CALL(name, call, n)                                                                     \
	SEC("fexit/__sys_" #name)                                                                  \
	int BPF_PROG(name##_fexit, PARAMS_##n, long ret)                                           \
	{                                                                                          \
		struct id_args args = { FEXIT_##n };                                               \
		return changed(ctx, call, &args, ret);                                             \
	}                                                                                          \
	ID_TRACEPOINTS(name, call, n)

ID_CALL(setuid, CALL_SETUID, 1)
ID_CALL(setreuid, CALL_SETREUID, 2)
ID_CALL(setresuid, CALL_SETRESUID, 3)
ID_CALL(setfsuid, CALL_SETFSUID, 1)
ID_CALL(setgid, CALL_SETGID, 1)
ID_CALL(setregid, CALL_SETREGID, 2)
ID_CALL(setresgid, CALL_SETRESGID, 3)
ID_CALL(setfsgid, CALL_SETFSGID, 1)

SEC("fexit/" SYSCALL "setgroups")
int BPF_PROG(setgroups_fexit, const struct pt_regs *regs, long ret)
{
	struct id_args args = { PT_REGS_PARM1_CORE_SYSCALL(regs),
				PT_REGS_PARM2_CORE_SYSCALL(regs), 0 };

	return changed(ctx, CALL_SETGROUPS, &args, ret);
}
ID_TRACEPOINTS(setgroups, CALL_SETGROUPS, 2)

#if defined(__TARGET_ARCH_x86)
/* That of 32-bit programs: there is no function below both. Its arguments are in the registers of
 * theirs. */
static __always_inline struct id_args args_of_32bit(const struct pt_regs *regs)
{
	return (struct id_args){ (__u32)BPF_CORE_READ(regs, bx), (__u32)BPF_CORE_READ(regs, cx), 0 };
}

SEC("fexit/__ia32_sys_setgroups")
int BPF_PROG(groups_fexit32, const struct pt_regs *regs, long ret)
{
	struct id_args args = args_of_32bit(regs);

	return changed(ctx, CALL_SETGROUPS, &args, ret);
}
SEC("kprobe/__ia32_sys_setgroups")
int BPF_KPROBE(groups_kprobe, const struct pt_regs *regs) { return enter(args_of_32bit(regs)); }
SEC("kretprobe/__ia32_sys_setgroups")
int BPF_KRETPROBE(groups_kret, long ret)
{
	struct id_args args;

	return args_take(&args) ? changed(ctx, CALL_SETGROUPS, &args, ret) : 0;
}
#endif

/* All calls by one attachment, in the order of enum id_call: each of its own takes as long as all the
 * rest of the start. */
SEC("kprobe.session/__sys_setuid,__sys_setreuid,__sys_setresuid,__sys_setfsuid,__sys_setgid,__sys_setregid,"
    "__sys_setresgid,__sys_setfsgid," SYSCALL "setgroups")
int calls_session(struct pt_regs *ctx)
{
	enum id_call call = bpf_get_attach_cookie(ctx);
	struct id_args args;

	if (session_is_return(ctx))
		return args_take(&args) ? changed(ctx, call, &args, PT_REGS_RC(ctx)) : 0;
	if (call == CALL_SETGROUPS) {
		const struct pt_regs *regs = (void *)PT_REGS_PARM1(ctx);

		args.a = PT_REGS_PARM1_CORE_SYSCALL(regs);
		args.b = PT_REGS_PARM2_CORE_SYSCALL(regs);
		args.c = 0;
	} else {
		args.a = (__u32)PT_REGS_PARM1(ctx);
		args.b = (__u32)PT_REGS_PARM2(ctx);
		args.c = (__u32)PT_REGS_PARM3(ctx);
	}
	args_keep(&args);
	return 0;
}

/* The program's file may have been the one that changed ids. */
static __always_inline int executed(void *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct id_event *e;

	if (!bpf_map_lookup_elem(&before, &tid))
		return 0;
	e = begin(CALL_EXEC, 0);
	if (!e || !filter_current() || !asked_for(!cfg.failed))
		return 0;
	e->failed = false;
	e->requested[0] = EXEC_USER;
	if (!same_ids(&e->old.user, &e->now.user))
		event_output(ctx, e, offsetof(struct id_event, listed));
	e->requested[0] = EXEC_GROUP;
	if (!same_ids(&e->old.group, &e->now.group))
		event_output(ctx, e, offsetof(struct id_event, listed));
	return 0;
}

SEC("raw_tp/sched_process_exec")
int exec_raw_tp(void *ctx)
{
	return executed(ctx);
}
