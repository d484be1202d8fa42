// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "wakeuptime.h"
#include "../wakers.bpf.h"
#include "bpf/task_event.bpf.h"

static __always_inline int switched(bool preempt, struct task_struct *prev,
				    struct task_struct *next, bool typed)
{
	struct off_task *task;
	int state;

	/* A wakeup may have come when it was on its way off the CPU, and found nothing begun. */
	if (sched_tid(next, typed)) {
		task = off_task_of(next);
		if (task)
			task->start_ns = 0;
	}
	state = off_leaves(preempt, prev, true, typed);
	if (state < 0)
		return 0;
	task = off_note(prev, state);
	if (task)
		task->start_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int waking(void *ctx, struct task_struct *target, bool typed)
{
	struct off_task *task = off_task_of(target);
	struct wake_key key = {};
	__u64 ids, ns;

	if (!task || !task->start_ns)
		return 0;
	ns = time_since(task->start_ns);
	task->start_ns = 0;
	if (!off_long_enough(ns))
		return 0;
	ids = ids_of(target, typed);
	if (!task_holds(target, ids, ns, typed))
		return 0;
	key.target.pid = ids >> 32;
	key.target.tid = ids;
	key.target.kernel = STACK_NONE;
	key.target.user = STACK_NONE;
	key.target.detail = task->state;
	comm_of(target, key.target.comm, typed);
	take_waker(ctx, &key.waker, typed);
	wake_add(&key, ns);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switch_tp_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(preempt, prev, next, true);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(waking_tp_btf, struct task_struct *target)
{
	return waking(ctx, target, true);
}

SEC("raw_tp/sched_switch")
int BPF_PROG(switch_raw_tp, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(preempt, prev, next, false);
}

SEC("raw_tp/sched_waking")
int BPF_PROG(waking_raw_tp, struct task_struct *target)
{
	return waking(ctx, target, false);
}
