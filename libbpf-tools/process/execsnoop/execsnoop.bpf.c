// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/path.bpf.h"
#include "bpf/syscall.bpf.h"
#include "execsnoop.h"

/* Arguments of a failed exec: how many are read, and how long one may be. Half of the room: the
 * verifier of 5.10 has to see that any offset and any length together stay inside. */
#define FAILED_ARGS 512
#define FAILED_ARG_LEN (EXEC_ARGS_LEN / 2)

const volatile struct exec_config cfg = {};
/* A slot for each program: they can interrupt each other where the kernel preempts itself. */
EVENT_SCRATCH(struct exec_event, 3)

/* A call under way. */
struct exec_call {
	const char *filename;
	__u64 argv;
	int dfd;
};
SYSCALL_ARGS(struct exec_call)

/* Everything but file name and arguments. The arguments come last, and only of what --where lets pass:
 * columns of them are user space's. */
static __always_inline struct exec_event *begin(__u32 slot, int ret, int dfd)
{
	struct exec_event *e = event_scratch(slot);
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *parent;

	if (!e)
		return NULL;
	parent = BPF_CORE_READ(task, real_parent);
	e->time_ns = bpf_ktime_get_ns();
	e->pid = current_ids() >> 32;
	e->ppid = task_tgid(parent);
	e->uid = bpf_get_current_uid_gid();
	e->cpu = bpf_get_smp_processor_id();
	e->ret = ret;
	e->dfd = dfd;
	e->args_len = 0;
	e->filename_len = 0;
	e->cwd_len = 0;
	e->by_interpreter = 0;
	e->cut = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	BPF_CORE_READ_STR_INTO(&e->pcomm, parent, comm);
	return e;
}

/* The directory comes behind the file name, whose length (0 on failure) is `n`; returns where the
 * arguments begin in `data`. */
static __always_inline __u32 end_of_paths(struct exec_event *e, long n)
{
	__u32 used;

	if (n < 0 || n > PATH_LEN)
		n = 0;
	e->filename_len = n;
	if (!cfg.cwd)
		return n;
	path_walk_dfd(AT_FDCWD, e->data + n, &e->cwd_len);
	used = *(volatile __u16 *)&e->cwd_len;
	return used > PATH_WALK_LEN ? n : n + used;
}

/* A record of its own size in the ring: false where that has no room. */
static __always_inline bool output_big(struct exec_event *e, __u32 at, __u64 start, __u64 len)
{
	struct exec_big_event *big = event_reserve(sizeof(*big));

	if (!big)
		return false;
	if (len > EXEC_BIG_ARGS_LEN) {
		len = EXEC_BIG_ARGS_LEN;
		e->cut = 1;
	}
	at += offsetof(struct exec_event, data);
	if (bpf_probe_read_user(big->bytes + at, len, (void *)start)) {
		bpf_ringbuf_discard(big, BPF_RB_NO_WAKEUP);
		return false;
	}
	e->args_len = len;
	bpf_probe_read_kernel(big->bytes, at, e);
	bpf_ringbuf_submit(big, BPF_RB_FORCE_WAKEUP);
	return true;
}

/* A new program is about to run: its arguments lie in its own memory, in one piece, and nothing has
 * been paged out yet. */
static __always_inline int started(void *ctx, __u32 old_tid, struct linux_binprm *bprm)
{
	struct exec_event *e;
	const char *filename;
	struct mm_struct *mm;
	__u64 start, len;
	__u32 at;

	/* Its call has not failed. It returns as the leader of its process, whose ID it has now. */
	if (cfg.keeps_calls)
		bpf_map_delete_elem(&cb_args, &old_tid);
	if (!filter_current())
		return 0;
	e = begin(0, 0, AT_FDCWD);
	if (!e)
		return 0;
	filename = BPF_CORE_READ(bprm, filename);
	e->by_interpreter = BPF_CORE_READ(bprm, interp) != filename;
	at = end_of_paths(e, bpf_probe_read_kernel_str(e->data, PATH_LEN, filename));
	if (!where_holds(ctx, e, offsetof(struct exec_event, data) + at))
		return 0;

	mm = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), mm);
	start = BPF_CORE_READ(mm, arg_start);
	len = BPF_CORE_READ(mm, arg_end) - start;
	if (len > EXEC_ARGS_LEN) {
		if (output_big(e, at, start, len))
			return 0;
		len = EXEC_ARGS_LEN;
		e->cut = 1;
	}
	if (bpf_probe_read_user(e->data + at, len, (void *)start)) {
		len = 0;
		e->cut = 1;
	}
	e->args_len = len;
	event_send(ctx, e, offsetof(struct exec_event, data) + at + len);
	return 0;
}

/* Raw: what it reads takes helpers anyway, so it is the same program with and without BTF. */
SEC("raw_tp/sched_process_exec")
int exec_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return started(ctx, ctx->args[1], (struct linux_binprm *)ctx->args[2]);
}

/* Reads argument `i` of a failed exec; the arguments begin at `at` in the slot's data. False: it was
 * the last, or cannot be read. A global function: verified once, not once an iteration. */
__noinline bool read_argument(__u32 slot, __u32 at, __u64 argv, __u32 i)
{
	struct exec_event *e = event_scratch(slot);
	const char *arg = NULL;
	char last = 0;
	__u32 used;
	long n;

	if (!e || at > PATH_LEN + PATH_WALK_LEN)
		return false;
	if (bpf_probe_read_user(&arg, sizeof(arg), (const char **)argv + i))
		return false;
	if (!arg) {
		e->cut = 0;
		return false;
	}
	used = e->args_len;
	if (used > FAILED_ARG_LEN || i == FAILED_ARGS)
		return false;
	n = bpf_probe_read_user_str(e->data + at + used, FAILED_ARG_LEN, arg);
	if (n <= 0)
		return false;
	e->args_len = used + n;
	if (n == FAILED_ARG_LEN)
		bpf_probe_read_user(&last, 1, arg + n - 1);
	return !last;
}

/* The system call has failed: its caller's memory is still there, and what the kernel read of it
 * is resident. */
static __always_inline int failed(void *ctx, __u32 slot, int ret, int dfd, const char *filename,
				  __u64 argv)
{
	struct exec_event *e;
	__u32 at;

	if (ret >= 0 || !filter_current())
		return 0;
	e = begin(slot, ret, dfd);
	if (!e)
		return 0;
	at = end_of_paths(e, bpf_probe_read_user_str(e->data, PATH_LEN, filename));
	if (!where_holds(ctx, e, offsetof(struct exec_event, data) + at))
		return 0;
	e->cut = 1;
	for (__u32 i = 0; i <= FAILED_ARGS && read_argument(slot, at, argv, i); i++)
		;
	at += *(volatile __u32 *)&e->args_len;
	if (at <= sizeof(e->data))
		event_send(ctx, e, offsetof(struct exec_event, data) + at);
	return 0;
}

SEC("fexit/" SYSCALL "execve")
int BPF_PROG(execve_fexit, const struct pt_regs *regs, long ret)
{
	return failed(ctx, 1, ret, AT_FDCWD, (const char *)PT_REGS_PARM1_CORE_SYSCALL(regs),
		      PT_REGS_PARM2_CORE_SYSCALL(regs));
}

SEC("fexit/" SYSCALL "execveat")
int BPF_PROG(execveat_fexit, const struct pt_regs *regs, long ret)
{
	return failed(ctx, 2, ret, PT_REGS_PARM1_CORE_SYSCALL(regs),
		      (const char *)PT_REGS_PARM2_CORE_SYSCALL(regs),
		      PT_REGS_PARM3_CORE_SYSCALL(regs));
}

/* The lower rung keeps the arguments from entry to return. */
static __always_inline int enter(int dfd, __u64 filename, __u64 argv)
{
	struct exec_call call = { (const char *)filename, argv, dfd };

	args_keep(&call);
	return 0;
}

static __always_inline int leave(void *ctx, __u32 slot, int ret)
{
	struct exec_call call;

	return args_take(&call) ? failed(ctx, slot, ret, call.dfd, call.filename, call.argv) : 0;
}

SEC("tracepoint/syscalls/sys_enter_execve")
int enter_execve(struct syscall_enter *ctx)
{
	return enter(AT_FDCWD, ctx->args[0], ctx->args[1]);
}

SEC("tracepoint/syscalls/sys_enter_execveat")
int enter_execveat(struct syscall_enter *ctx)
{
	return enter(ctx->args[0], ctx->args[1], ctx->args[2]);
}

SEC("tracepoint/syscalls/sys_exit_execve")
int leave_execve(struct syscall_exit *ctx)
{
	return leave(ctx, 1, ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_execveat")
int leave_execveat(struct syscall_exit *ctx)
{
	return leave(ctx, 2, ctx->ret);
}
