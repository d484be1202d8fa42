/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The time that threads are off the CPU: which of them, since when, and why. 5.10+. */
#pragma once
#include "bpf/filter.bpf.h"
#include "bpf/sched.bpf.h"
#include "bpf/task_place.bpf.h"
#include "offcpu.h"

const volatile struct off_config off_cfg = {};

/* Entries live as long as their task: to make and delete one for each sleep costs more than all the
 * rest. Most lie at a place of a table, since each switch looks for two; those whose place another has
 * are in the map, by address too. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << OFF_PLACES_BITS);
	__type(key, __u32);
	__type(value, struct off_task);
} off_places SEC(".maps");

HASH_MAP(off_tasks, __u64, struct off_task, OFF_TASKS);
bool off_tasks_used = false;

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

static __always_inline __u32 off_place_of(__u64 key)
{
	return place_of_task(key, OFF_PLACES_BITS);
}

/* What is known of a task's time off, if that was noted. */
static __always_inline struct off_task *off_task_of(struct task_struct *task)
{
	__u64 key = (__u64)task;
	__u32 place = off_place_of(key);
	struct off_task *off = bpf_map_lookup_elem(&off_places, &place);

	if (off && off->owner == key)
		return off;
	return off_tasks_used ? bpf_map_lookup_elem(&off_tasks, &key) : NULL;
}

static __always_inline bool off_long_enough(__u64 ns)
{
	return asked_for(ns >= off_cfg.min_ns && ns <= off_cfg.max_ns);
}

static __noinline struct off_task *off_new_task(__u64 key)
{
	__u32 place = off_place_of(key);
	struct off_task *off = bpf_map_lookup_elem(&off_places, &place), none = { .owner = key };

	if (off && take_place(&off->owner, place, key)) {
		*off = none;
		return off;
	}
	off_tasks_used = true;
	if (bpf_map_update_elem(&off_tasks, &key, &none, BPF_NOEXIST)) {
		count_lost_map();
		return NULL;
	}
	return bpf_map_lookup_elem(&off_tasks, &key);
}

/* The task is gone: its place is another's from now on. */
static __always_inline void off_forget(struct task_struct *task)
{
	__u64 key = (__u64)task;
	__u32 place = off_place_of(key);
	struct off_task *off = bpf_map_lookup_elem(&off_places, &place);

	if (off && off->owner == key)
		off->owner = 0;
	else if (off_tasks_used)
		bpf_map_delete_elem(&off_tasks, &key);
}

/* At sched_switch: the running task leaves its CPU. Why (enum off_state), where its time off is asked for;
 * else negative. `sleeps`: only if it waits for something. */
static __always_inline int off_leaves(bool preempt, struct task_struct *prev, bool sleeps, bool typed)
{
	__u32 state = task_state(prev, typed), code, flags;

	if (preempt) /* it goes on waiting for the CPU, whatever it was about to do */
		state = 0;
	if (state & TASK_DEAD) {
		off_forget(prev);
		return -1;
	}
	if (!sched_tid(prev, typed) || (sleeps && !state))
		return -1;
	if (off_cfg.user_threads || off_cfg.kernel_threads) {
		flags = READ_FIELD(typed, prev, flags);
		if (!asked_for(flags & PF_KTHREAD ? off_cfg.kernel_threads : off_cfg.user_threads))
			return -1;
	}
	if (!filter_current())
		return -1;
	code = off_state(state);
	if (off_cfg.by_state &&
	    !asked_for(state & off_cfg.state_mask || off_cfg.states >> code & 1))
		return -1;
	return code;
}

/* The note of a task that leaves its CPU, state filled in; the caller sets start_ns last. Before this the
 * caller takes the stacks and whatever else is long: the note lies in one of two maps, and the verifier
 * goes twice through all that uses it. */
static __always_inline struct off_task *off_note(struct task_struct *prev, __u32 state)
{
	struct off_task *task = off_task_of(prev);

	if (!task)
		task = off_new_task((__u64)prev);
	if (task)
		task->state = state;
	return task;
}

/* Which program a task with a user stack is (abi/stacks.h). */
static __always_inline __u32 off_image(struct task_struct *task, bool typed)
{
	__u64 sp = typed ? task->mm->start_stack : BPF_CORE_READ(task, mm, start_stack);

	return STACK_IMAGE(sp);
}

/* User space is told of a new one now: while it is off the CPU it cannot end. A macro, since the notes of
 * not all tools have an image. */
#define off_note_image(note, now, task, typed)                     \
	({                                                         \
		if ((note)->image != (now)) {                      \
			(note)->image = (now);                     \
			tell_task(ids_of(task, typed) >> 32, now); \
		}                                                  \
	})
