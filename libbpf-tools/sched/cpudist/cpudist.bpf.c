// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../by_task.bpf.h"
#include "../thread_slots.bpf.h"
#include "cpudist.h"

const volatile struct cpudist_config cb_dist = {};

/* Since when a CPU runs what it runs: on-CPU time needs no look-up by task. With off_cpu it is since
 * when its idle task does not run. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cb_since SEC(".maps");

/* The slots of threads; as in run_queue.bpf.h, but without a limit to the time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct off_since);
} cb_off_since SEC(".maps");

static __always_inline struct off_since *off_slot(__u32 tid)
{
	__u32 slot = slot_number(tid);

	return bpf_map_lookup_elem(&cb_off_since, &slot);
}

static __always_inline int on_cpu(struct task_struct *prev, bool typed)
{
	__u64 now = bpf_ktime_get_ns(), begun, *since;
	__u32 zero = 0;

	since = bpf_map_lookup_elem(&cb_since, &zero);
	if (!since)
		return 0;
	begun = *since;
	*since = now;
	if (!begun || (!cb_dist.include_idle && !sched_tid(prev, typed)))
		return 0;
	count_by_task(prev, time_between(begun, now), typed);
	return 0;
}

/* The idle task of this CPU leaves it or gets it. */
static __always_inline void idle_switched(struct task_struct *prev, struct task_struct *next,
					  __u64 now, bool typed)
{
	__u32 zero = 0;
	__u64 *since = bpf_map_lookup_elem(&cb_since, &zero);

	if (!since)
		return;
	if (!sched_tid(prev, typed)) {
		*since = now;
	} else if (!sched_tid(next, typed) && *since) {
		count_by_task(next, time_between(*since, now), typed);
		*since = 0;
	}
}

/* A thread that does not have the slot loses its CPU; `now` is 0 if it dies. */
static __noinline int leave_slotless(struct off_since *slot, __u32 tid, __u64 now)
{
	__u64 *since = slotless(tid);
	__u32 number = slot_number(tid);
	bool mine = false;

	if (since)
		*since = now;
	if (!now && since)
		take_slotless(tid);
	if (!now || since)
		return 0;
	if (!slot->tid && claim_slot(number)) {
		mine = !*(volatile __u64 *)&slot->tid;
		if (mine) {
			slot->ns = now;
			slot->tid = tid;
		}
		slot_claimed(number);
	}
	if (!mine)
		keep_slotless(tid, now);
	return 0;
}

static __always_inline int off_cpu(struct task_struct *prev, struct task_struct *next, bool typed)
{
	__u32 prev_tid = sched_tid(prev, typed), tid = sched_tid(next, typed);
	__u64 now = bpf_ktime_get_ns(), begun;
	struct off_since *slot;
	bool dead;

	if (cb_dist.include_idle)
		idle_switched(prev, next, now, typed);
	if (prev_tid) {
		slot = off_slot(prev_tid);
		if (!slot)
			return 0;
		/* What dies is not off its CPU: it is not there any more. Its number may be, later. */
		dead = prev_is_dead(prev, typed);
		if (slot->tid == prev_tid) {
			slot->ns = dead ? 0 : now;
			if (cb_slots.shared && dead)
				slot->tid = 0;
		} else {
			leave_slotless(slot, prev_tid, dead ? 0 : now);
		}
	}
	if (!tid)
		return 0;
	slot = off_slot(tid);
	if (!slot)
		return 0;
	if (slot->tid == tid) {
		begun = slot->ns;
		slot->ns = 0;
	} else {
		begun = take_slotless(tid);
	}
	if (!begun)
		return 0;
	count_by_task(next, time_between(begun, now), typed);
	return 0;
}

static __always_inline int switched(struct task_struct *prev, struct task_struct *next, bool typed)
{
	return cb_dist.off_cpu ? off_cpu(prev, next, typed) : on_cpu(prev, typed);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switch_tp_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(prev, next, true);
}

SEC("raw_tp/sched_switch")
int BPF_PROG(switch_raw_tp, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(prev, next, false);
}
