/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The time that threads are off the CPU: which of them, since when, and why. 5.10+. */
#pragma once
#include "bpf/filter.bpf.h"
#include "bpf/sched.bpf.h"
#include "offcpu.h"

const volatile struct off_config off_cfg = {};

/* By address of the task: that stays the same when a thread takes over the leader's id in an exec.
 * Entries live as long as their task: to make and delete one for each sleep costs more than all the
 * rest. */
HASH_MAP(off_tasks, __u64, struct off_task, OFF_TASKS);

/* include/linux/sched.h; unchanged in 5.10 to 7.2 */
#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define __TASK_STOPPED 0x4
#define __TASK_TRACED 0x8
#define TASK_PARKED 0x40
#define TASK_NOLOAD 0x400
#define TASK_RTLOCK_WAIT 0x1000
#define TASK_FROZEN 0x8000

static __always_inline enum off_state off_state(__u32 state)
{
	if (!state)
		return OFF_R;
	if (state & TASK_INTERRUPTIBLE)
		return OFF_S;
	if (state & TASK_UNINTERRUPTIBLE)
		return state & TASK_NOLOAD ? OFF_I : OFF_D;
	if (state & (TASK_RTLOCK_WAIT | TASK_FROZEN))
		return OFF_D; /* as ps has them */
	if (state & __TASK_STOPPED)
		return OFF_T;
	if (state & __TASK_TRACED)
		return OFF_TRACED;
	return state & TASK_PARKED ? OFF_PARKED : OFF_UNKNOWN;
}

/* At sched_switch: the task that gets the CPU. What is known of its time off, if that was noted. */
static __always_inline struct off_task *off_task_of(struct task_struct *task)
{
	__u64 key = (__u64)task;

	return bpf_map_lookup_elem(&off_tasks, &key);
}

static __always_inline bool off_long_enough(__u64 ns)
{
	return asked_for(ns >= off_cfg.min_ns && ns <= off_cfg.max_ns);
}

static __noinline struct off_task *off_new_task(__u64 key)
{
	struct off_task none = {};

	if (bpf_map_update_elem(&off_tasks, &key, &none, BPF_NOEXIST)) {
		count_lost_map();
		return NULL;
	}
	return bpf_map_lookup_elem(&off_tasks, &key);
}

/* At sched_switch: the running task leaves its CPU. Where its time off is asked for, the note of it,
 * state filled in; the caller sets start_ns last. `sleeps`: only if it waits for something. */
static __always_inline struct off_task *off_leave(bool preempt, struct task_struct *prev,
						  bool sleeps, bool typed)
{
	__u32 state = task_state(prev, typed), code, flags;
	__u64 key = (__u64)prev;
	struct off_task *task;

	if (preempt) /* it goes on waiting for the CPU, whatever it was about to do */
		state = 0;
	if (state & TASK_DEAD) {
		bpf_map_delete_elem(&off_tasks, &key);
		return NULL;
	}
	if (!sched_tid(prev, typed) || (sleeps && !state))
		return NULL;
	if (off_cfg.user_threads || off_cfg.kernel_threads) {
		flags = READ_FIELD(typed, prev, flags);
		if (!asked_for(flags & PF_KTHREAD ? off_cfg.kernel_threads : off_cfg.user_threads))
			return NULL;
	}
	if (!filter_current())
		return NULL;
	code = off_state(state);
	if (off_cfg.by_state &&
	    !asked_for(state & off_cfg.state_mask || off_cfg.states >> code & 1))
		return NULL;
	task = bpf_map_lookup_elem(&off_tasks, &key);
	if (!task)
		task = off_new_task(key);
	if (task)
		task->state = code;
	return task;
}

/* Which program a task with a user stack is (abi/stacks.h). User space is told of a new one now: while
 * it is off the CPU it cannot end. */
#define off_note_image(note, task, typed)                                              \
	({                                                                             \
		__u64 off_sp = typed ? (task)->mm->start_stack :                       \
				       BPF_CORE_READ(task, mm, start_stack);           \
		__u32 off_now = STACK_IMAGE(off_sp);                                   \
                                                                                       \
		if ((note)->image != off_now) {                                        \
			(note)->image = off_now;                                       \
			tell_task(ids_of(task, typed) >> 32, off_now);                \
		}                                                                      \
	})
