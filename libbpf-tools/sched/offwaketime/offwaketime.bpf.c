// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "offwaketime.h"
#include "../wakers.bpf.h"
#include "bpf/task_event.bpf.h"

static const struct waker nobody = { .kernel = STACK_NONE, .user = STACK_NONE };

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
	/* Not where it sleeps: it may have been woken already, on its way off the CPU. Read back, or the
	 * verifier goes through the taking of the stacks once for each state. */
	if (*(volatile __u32 *)&task->state == OFF_R)
		task->waker = nobody;
	task->kernel = kernel;
	task->user = user;
	if (user >= 0)
		off_note_image(task, image, prev, typed);
	task->start_ns = now;
}

static __always_inline void returned(struct task_struct *next, __u64 now, bool typed)
{
	struct off_task *task = off_task_of(next);
	struct wake_key key = {};
	__u64 ids, ns;

	if (!task)
		return;
	if (!task->start_ns)
		goto end;
	ns = time_between(task->start_ns, now);
	task->start_ns = 0;
	if (!off_long_enough(ns))
		goto end;
	ids = ids_of(next, typed);
	if (!task_holds(next, ids, ns, typed))
		goto end;
	key.target.pid = ids >> 32;
	key.target.tid = ids;
	key.target.image = task->image;
	key.target.kernel = task->kernel;
	key.target.user = task->user;
	key.target.detail = task->state;
	comm_of(next, key.target.comm, typed);
	key.waker = task->waker;
	wake_add(&key, ns);
end:
	task->waker = nobody;
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

static __always_inline int waking(void *ctx, struct task_struct *target, bool typed)
{
	struct off_task *task = off_task_of(target);
	struct waker waker = {};

	if (!task)
		return 0;
	take_waker(ctx, &waker, typed);
	task = off_task_of(target); /* again: see off_note() */
	if (task)
		task->waker = waker;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switch_tp_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, preempt, prev, next, true);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(waking_tp_btf, struct task_struct *target)
{
	return waking(ctx, target, true);
}

SEC("raw_tp/sched_switch")
int BPF_PROG(switch_raw_tp, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, preempt, prev, next, false);
}

SEC("raw_tp/sched_waking")
int BPF_PROG(waking_raw_tp, struct task_struct *target)
{
	return waking(ctx, target, false);
}
