// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
/* Of signals from outside a container its processes want to know. */
#define FILTER_ALL_NAMESPACES
#include "bpf/filter.bpf.h"
#include "bpf/path.bpf.h"
#include "bpf/syscall.bpf.h"
#include "sigsnoop.h"

#define EBADF 9
#define EINVAL 22

const volatile struct sig_config cfg = {};

static __always_inline bool signal_wanted(int sig)
{
	if (!cfg.by_signal)
		return true;
	return sig ? sig > 0 && sig <= 64 && (cfg.signals >> ((sig - 1) & 63) & 1) : cfg.zero;
}

/* --- Signals as they are generated. */

/* Where a signal comes from. SEND_SIG_NOINFO and SEND_SIG_PRIV (linux/sched/signal.h) are numbers in
 * place of a pointer; their codes are those that __send_signal() then makes. */
static __always_inline int code_of(__u64 info)
{
	int code = 0;

	if (info == 1)
		return 0x80; /* SI_KERNEL */
	if (info)
		bpf_probe_read_kernel(&code, sizeof(code),
				      (void *)info + bpf_core_field_offset(struct kernel_siginfo,
									   si_code));
	return code;
}

static __always_inline int generated(void *ctx, int sig, __u64 info, struct task_struct *target,
				     int group, int result, bool typed)
{
	struct sig_event e = {};
	__u64 ids;

	if (!filter_current())
		return 0;
	ids = ids_of(target, typed);
	if (!asked_for(signal_wanted(sig) &&
		       (!cfg.target || (__u32)cfg.target == ids >> 32 || cfg.target == (int)ids) &&
		       (!cfg.failed || (result != OUTCOME_DELIVERED && result != OUTCOME_LOST_INFO))))
		return 0;
	task_info_read(&e.task, typed);
	e.sig = sig;
	e.code = code_of(info);
	e.result = result;
	e.group = group;
	e.target_pid = ids >> 32;
	e.target_tid = ids;
	e.target = group ? e.target_pid : e.target_tid;
	comm_of(target, e.comm, typed);
	event_output(ctx, &e, sizeof(e));
	return 0;
}

SEC("tp_btf/signal_generate")
int generate_tp_btf(__u64 *ctx)
{
	return generated(ctx, ctx[0], ctx[1], (struct task_struct *)ctx[2], ctx[3], ctx[4],
			 true);
}

SEC("raw_tp/signal_generate")
int generate_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return generated(ctx, ctx->args[0], ctx->args[1], (struct task_struct *)ctx->args[2],
			 ctx->args[3], ctx->args[4], false);
}

/* --- Calls that send one, and whom they reached: by thread, from the signals to the call's return. */

struct reached {
	char comm[COMM_LEN]; /* of the first */
	__u32 pid, tid;
	__u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct reached);
} reached SEC(".maps");

static __always_inline int reaches(__u64 info, struct task_struct *target, bool typed)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct reached *kept, first = { .n = 1 };
	int code;
	__u64 ids;

	/* What the kernel sends by itself has no info, or such a code; a timer can expire within a
	 * call, and in its thread. */
	if (info <= 1)
		return 0;
	code = code_of(info);
	if (code > 0 || (code <= -2 && code >= -5)) /* SI_TIMER to SI_SIGIO */
		return 0;
	kept = bpf_map_lookup_elem(&reached, &tid);
	if (kept) {
		kept->n++;
		return 0;
	}
	ids = ids_of(target, typed);
	first.pid = ids >> 32;
	first.tid = ids;
	comm_of(target, first.comm, typed);
	bpf_map_update_elem(&reached, &tid, &first, BPF_ANY);
	return 0;
}

SEC("tp_btf/signal_generate")
int reach_tp_btf(__u64 *ctx)
{
	return reaches(ctx[1], (struct task_struct *)ctx[2], true);
}

SEC("raw_tp/signal_generate")
int reach_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return reaches(ctx->args[1], (struct task_struct *)ctx->args[2], false);
}

/* The process of a descriptor: since pidfs (v6.9) the inode says, before the file does. */
static __noinline __u32 pidfd_pid(int fd)
{
	struct file *file = path_file(fd);
	struct pid *pid;

	if (!file)
		return 0;
	pid = BPF_CORE_READ(file, f_inode, i_private);
	if (!pid)
		pid = BPF_CORE_READ(file, private_data);
	if (!pid)
		return 0;
	if (cb_filter.pidns)
		return pid_in_namespace(pid);
	return BPF_CORE_READ(pid, numbers[0].nr);
}

struct sig_args {
	__s32 target; /* process, thread, group or pidfd */
	__u32 tgid;   /* of a thread, where the call says it */
	__s32 sig;
};
SYSCALL_ARGS(struct sig_args)

static __always_inline struct sig_args sig_args(enum sig_call call, __u64 a, __u64 b, __u64 c)
{
	if (call == CALL_TGKILL || call == CALL_RT_TGSIGQUEUEINFO)
		return (struct sig_args){ .target = b, .tgid = a, .sig = c };
	return (struct sig_args){ .target = a, .sig = b };
}

/* sys_pidfd_send_signal() also takes numbers for the caller itself (v6.14), uapi/linux/pidfd.h. */
#define PIDFD_SELF_THREAD -10000
#define PIDFD_SELF_THREAD_GROUP -20000

static __always_inline int returned(void *ctx, __u32 call, const struct sig_args *args, int ret,
				    bool typed)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct reached *kept = bpf_map_lookup_elem(&reached, &tid);
	struct sig_event e = {};

	if (kept) {
		if (!ret) {
			__builtin_memcpy(e.comm, kept->comm, COMM_LEN);
			e.target_pid = kept->pid;
			e.target_tid = kept->tid;
			e.targets = kept->n;
		}
		bpf_map_delete_elem(&reached, &tid);
	}
	if (!filter_current())
		return 0;
	e.target = args->target;
	task_info_read(&e.task, typed);
	if (call == CALL_PIDFD_SEND_SIGNAL) {
		e.target = e.target_pid;
		if (args->target == PIDFD_SELF_THREAD)
			e.target = e.task.tid;
		else if (args->target == PIDFD_SELF_THREAD_GROUP)
			e.target = e.task.pid;
		else if (!e.target && ret != -EBADF && ret != -EINVAL) /* else it may be any file */
			e.target = pidfd_pid(args->target);
	}
	if (!asked_for(signal_wanted(args->sig) && (!cfg.failed || ret < 0) &&
		       (!cfg.target || cfg.target == e.target || cfg.target == (int)args->tgid)))
		return 0;
	e.sig = args->sig;
	e.result = ret;
	e.call = call;
	e.group = call == CALL_KILL || call == CALL_RT_SIGQUEUEINFO ||
		  call == CALL_PIDFD_SEND_SIGNAL;
	event_output(ctx, &e, sizeof(e));
	return 0;
}

/* The programs of one system call: NAME_fexit, or NAME_enter and NAME_leave. `third`: its third
 * argument at a tracepoint, whose program may not read more than the call has. */
#define SENDER(name, call, syscall, third)                                                         \
	SEC("fexit/" SYSCALL syscall)                                                              \
	int BPF_PROG(name##_fexit, const struct pt_regs *regs, long ret)                           \
	{                                                                                          \
		struct sig_args args = sig_args(call, PT_REGS_PARM1_CORE_SYSCALL(regs),            \
						PT_REGS_PARM2_CORE_SYSCALL(regs),                  \
						PT_REGS_PARM3_CORE_SYSCALL(regs));                 \
		return returned(ctx, call, &args, ret, true);                                      \
	}                                                                                          \
	SEC("tracepoint/syscalls/sys_enter_" syscall)                                              \
	int name##_enter(struct syscall_enter *ctx)                                                \
	{                                                                                          \
		struct sig_args args = sig_args(call, ctx->args[0], ctx->args[1], third);          \
		args_keep(&args);                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	SEC("tracepoint/syscalls/sys_exit_" syscall)                                               \
	int name##_leave(struct syscall_exit *ctx)                                                 \
	{                                                                                          \
		struct sig_args args;                                                              \
		return args_take(&args) ? returned(ctx, call, &args, ctx->ret, false) : 0;         \
	}

SENDER(kill, CALL_KILL, "kill", 0)
SENDER(tkill, CALL_TKILL, "tkill", 0)
SENDER(tgkill, CALL_TGKILL, "tgkill", ctx->args[2])
SENDER(queue, CALL_RT_SIGQUEUEINFO, "rt_sigqueueinfo", 0)
SENDER(tgqueue, CALL_RT_TGSIGQUEUEINFO, "rt_tgsigqueueinfo", ctx->args[2])
SENDER(pidfd, CALL_PIDFD_SEND_SIGNAL, "pidfd_send_signal", 0)
