// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/stack_memo.bpf.h"
#include "offcputime.h"
#include "../offcpu.bpf.h"
#include "bpf/task_event.bpf.h"

/* A thread's stacks stay as they are while it is off the CPU, but only the running one's user stack
 * can be taken: so both are taken when it leaves, and counted when it returns. */
static __always_inline void left(void *ctx, bool preempt, struct task_struct *prev, __u64 now,
				 bool typed)
{
	int state = off_leaves(preempt, prev, false, typed);
	__s32 kernel = STACK_NONE, user = STACK_NONE;
	struct off_task *task;
	__u32 image = 0;

	if (state < 0)
		return;
	if (cb_stack.kernel)
		kernel = kernel_stack_id(ctx, prev, typed);
	if (cb_stack.user)
		user = stack_id(ctx, BPF_F_USER_STACK);
	if (user >= 0)
		image = off_image(prev, typed);
	task = off_note(prev, state);
	if (!task)
		return;
	task->kernel = kernel;
	task->user = user;
	if (user >= 0)
		off_note_image(task, image, prev, typed);
	task->start_ns = now;
}

static __always_inline void returned(struct task_struct *next, __u64 now, bool typed)
{
	struct off_task *task = off_task_of(next);
	struct stack_key key = {};
	__u64 ids, ns;

	if (!task || !task->start_ns)
		return;
	ns = time_between(task->start_ns, now);
	task->start_ns = 0;
	if (!off_long_enough(ns))
		return;
	ids = ids_of(next, typed);
	if (!task_holds(next, ids, ns, typed))
		return;
	key.pid = ids >> 32;
	if (cb_stack.threads)
		key.tid = ids;
	key.image = task->image;
	key.kernel = task->kernel;
	key.user = task->user;
	key.detail = task->state;
	comm_of(next, key.comm, typed);
	stack_add(&key, ns);
}

static __always_inline int switched(void *ctx, bool preempt, struct task_struct *prev,
				    struct task_struct *next, bool typed)
{
	__u64 now = bpf_ktime_get_ns();

	if (sched_tid(next, typed))
		returned(next, now, typed);
	left(ctx, preempt, prev, now, typed);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switch_tp_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, preempt, prev, next, true);
}

SEC("raw_tp/sched_switch")
int BPF_PROG(switch_raw_tp, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, preempt, prev, next, false);
}
