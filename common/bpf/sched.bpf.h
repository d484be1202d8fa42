/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a task is to the scheduler. `typed`: the pointer is an argument of a tp_btf program, whose
 * members the verifier lets a program read without a helper. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"

/* 2f064a59a11f (v5.14) renamed it. */
struct task_struct___pre_v5_14 {
	volatile long state;
} __attribute__((preserve_access_index));

static __always_inline __u32 sched_tid(struct task_struct *task, bool typed)
{
	return READ_FIELD(typed, task, pid);
}

/* TASK_...: linux/sched.h */
static __always_inline __u32 task_state(struct task_struct *task, bool typed)
{
	struct task_struct___pre_v5_14 *old = (void *)task;

	if (bpf_core_field_exists(task->__state))
		return READ_FIELD(typed, task, __state);
	return READ_FIELD(typed, old, state);
}

#define TASK_DEAD 0x80 /* v4.14 to v7.2 */

/* At sched_switch: the task that leaves will not come back; another may get its number. */
static __always_inline bool prev_is_dead(struct task_struct *prev, bool typed)
{
	return task_state(prev, typed) & TASK_DEAD;
}

/* At sched_switch: whether the task that leaves the CPU goes on waiting for one. A preempted one does
 * whatever its state says: it was about to sleep, and has to run to get there. The state is read
 * here instead of from the tracepoint's fourth argument (v5.18): that one tells the state from before
 * a pending signal made the task runnable again, and only "runnable or not" is asked. */
static __always_inline bool prev_stays_queued(bool preempt, struct task_struct *prev, bool typed)
{
	return preempt || !task_state(prev, typed);
}
