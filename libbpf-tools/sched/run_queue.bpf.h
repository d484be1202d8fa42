/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Each time that a thread, ready to run, waited for a CPU. The file that includes this defines
 * waited(), which is called when the wait is over. 5.10+. */
#pragma once
#include "bpf/sched.bpf.h"
#include "run_queue.h"

static __always_inline void waited(void *ctx, struct task_struct *prev, struct task_struct *next,
				   __u64 now, __u64 wait, bool typed);

const volatile __u32 cb_waiting_mask = 0; /* slots - 1 */

/* By thread id, modulo the number of slots. An array: this is looked up at every wakeup and twice at
 * every switch, and an array's lookup is six instructions. User space makes it as large as pid_max
 * asks for, within reason; where two waiting threads then share a slot, the first one's wait is
 * found missing when it ends, and counted as lost. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cb_waiting SEC(".maps");

static __always_inline __u64 *slot_of(__u32 tid)
{
	__u32 slot = tid & cb_waiting_mask;

	return bpf_map_lookup_elem(&cb_waiting, &slot);
}

static __always_inline __u64 since(__u32 tid, __u64 now)
{
	return (__u64)tid << RUNQ_TIME_BITS | (now >> RUNQ_TIME_SHIFT & RUNQ_TIME_MASK);
}

static __always_inline int wakeup(struct task_struct *task, bool typed)
{
	__u32 tid = sched_tid(task, typed);
	__u64 *slot = slot_of(tid);

	/* One that was preempted on its way to sleep has been waiting since then. */
	if (slot && (*slot >> RUNQ_TIME_BITS != tid || !(*slot & RUNQ_TIME_MASK)))
		*slot = since(tid, bpf_ktime_get_ns());
	return 0;
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
	/* A wakeup that came while the thread still ran began a wait that is none. */
	if (!queued && *slot >> RUNQ_TIME_BITS == prev_tid)
		*slot = since(prev_tid, 0);
	if (!queued && !tid)
		return 0;
	now = bpf_ktime_get_ns();
	if (queued && prev_tid)
		*slot = since(prev_tid, now);
	if (!tid) /* a CPU's idle task waits for nothing */
		return 0;

	slot = slot_of(tid);
	if (!slot)
		return 0;
	begun = *slot;
	if (begun >> RUNQ_TIME_BITS != tid) {
		if (begun)
			count_lost_map();
		return 0;
	}
	begun &= RUNQ_TIME_MASK;
	if (!begun)
		return 0;
	*slot = since(tid, 0);
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
