/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Each time that a thread, ready to run, waited for a CPU. The file that includes this defines
 * waited(), which is called when the wait is over. 5.10+. */
#pragma once
#include "bpf/sched.bpf.h"
#include "run_queue.h"
#include "thread_slots.bpf.h"

static __always_inline void waited(void *ctx, struct task_struct *prev, struct task_struct *next,
				   __u64 now, __u64 wait, bool typed);

/* The slots: since(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cb_waiting SEC(".maps");

static __always_inline __u64 *slot_of(__u32 tid)
{
	__u32 slot = slot_number(tid);

	return bpf_map_lookup_elem(&cb_waiting, &slot);
}

static __always_inline bool is_of(__u64 slot, __u32 tid)
{
	return slot >> RUNQ_TIME_BITS == tid;
}

static __always_inline __u64 since(__u32 tid, __u64 now)
{
	return (__u64)tid << RUNQ_TIME_BITS | (now >> RUNQ_TIME_SHIFT & RUNQ_TIME_MASK);
}

/* A wait begins of a thread that does not have the slot. `again`: if it has not begun already. */
static __noinline int begin_slotless(__u64 *slot, __u32 tid, bool again)
{
	__u64 word = since(tid, bpf_ktime_get_ns()), *begun = slotless(tid);
	__u32 number = slot_number(tid);
	bool mine = false;

	if (begun) {
		if (again)
			*begun = word;
		return 0;
	}
	if (!*slot && claim_slot(number)) {
		mine = !*(volatile __u64 *)slot;
		if (mine)
			*slot = word;
		slot_claimed(number);
	}
	if (!mine)
		keep_slotless(tid, word);
	return 0;
}

static __always_inline int wakeup(struct task_struct *task, bool typed)
{
	__u32 tid = sched_tid(task, typed);
	__u64 *slot = slot_of(tid);

	if (!slot)
		return 0;
	/* One that was preempted on its way to sleep has been waiting since then. */
	if (!is_of(*slot, tid))
		begin_slotless(slot, tid, false);
	else if (!(*slot & RUNQ_TIME_MASK))
		*slot = since(tid, bpf_ktime_get_ns());
	return 0;
}

/* The thread leaves its CPU to sleep, or for ever: a wakeup that came while it still ran began a wait
 * that is none. */
static __always_inline void forget(__u64 *slot, struct task_struct *prev, __u32 tid, bool typed)
{
	if (!is_of(*slot, tid))
		take_slotless(tid);
	else if (cb_slots.shared && prev_is_dead(prev, typed))
		*slot = 0;
	else
		*slot = since(tid, 0);
}

static __always_inline int switched(void *ctx, bool preempt, struct task_struct *prev,
				    struct task_struct *next, bool typed)
{
	__u32 prev_tid = sched_tid(prev, typed), tid = sched_tid(next, typed);
	bool queued = prev_stays_queued(preempt, prev, typed);
	__u64 now, begun, wait, *slot;

	slot = slot_of(prev_tid);
	if (!slot)
		return 0;
	if (!queued && prev_tid)
		forget(slot, prev, prev_tid, typed);
	if (!queued && !tid)
		return 0;
	now = bpf_ktime_get_ns();
	if (queued && prev_tid) {
		if (is_of(*slot, prev_tid))
			*slot = since(prev_tid, now);
		else
			begin_slotless(slot, prev_tid, true);
	}
	if (!tid) /* a CPU's idle task waits for nothing */
		return 0;

	slot = slot_of(tid);
	if (!slot)
		return 0;
	begun = *slot;
	if (is_of(begun, tid))
		*slot = since(tid, 0);
	else
		begun = take_slotless(tid);
	begun &= RUNQ_TIME_MASK;
	if (!begun)
		return 0;
	wait = ((now >> RUNQ_TIME_SHIFT) - begun & RUNQ_TIME_MASK) << RUNQ_TIME_SHIFT;
	waited(ctx, prev, next, now, wait, typed);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(wakeup_tp_btf, struct task_struct *task)
{
	return wakeup(task, true);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(new_tp_btf, struct task_struct *task)
{
	return wakeup(task, true);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switch_tp_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, preempt, prev, next, true);
}

SEC("raw_tp/sched_wakeup")
int BPF_PROG(wakeup_raw_tp, struct task_struct *task)
{
	return wakeup(task, false);
}

SEC("raw_tp/sched_wakeup_new")
int BPF_PROG(new_raw_tp, struct task_struct *task)
{
	return wakeup(task, false);
}

SEC("raw_tp/sched_switch")
int BPF_PROG(switch_raw_tp, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, preempt, prev, next, false);
}
