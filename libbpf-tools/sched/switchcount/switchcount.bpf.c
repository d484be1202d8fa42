// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/sched.bpf.h"
#include "bpf/top.bpf.h"
#include "bpf/where.bpf.h"
#include "switchcount.h"

/* Allocated beforehand: as in by_task.bpf.h. */
TOP(struct switch_key, struct switch_stat, 16384)

/* Shown is what one of the two has to do with. */
static __always_inline bool wanted(struct task_struct *prev, __u64 prev_ids,
				   struct task_struct *next, __u64 next_ids)
{
	if (cb_filter.pidns && !prev_ids && !next_ids)
		return false;
	if (cb_filter.by_uid || cb_filter.comm[0] || filter_needs_task())
		return filter_task(prev) || filter_task(next);
	return filter_by_ids(prev, prev_ids) || filter_by_ids(next, next_ids);
}

static __always_inline bool holds(struct task_struct *prev, __u64 prev_ids, struct task_struct *next,
				  __u64 next_ids, bool typed)
{
	struct switch_event e = {
		.prev_pid = prev_ids >> 32,
		.prev_tid = prev_ids,
		.next_pid = next_ids >> 32,
		.next_tid = next_ids,
		.cpu = bpf_get_smp_processor_id(),
	};

	comm_of(prev, e.prev_comm, typed);
	comm_of(next, e.next_comm, typed);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline int switched(struct task_struct *prev, struct task_struct *next, bool typed)
{
	__u64 prev_ids = ids_of(prev, typed), next_ids = ids_of(next, typed);
	struct switch_key key = { .prev = prev_ids, .next = next_ids };
	struct switch_stat *s;
	bool made;

	if (filter_task_outside(prev, prev_ids))
		key.prev = SWITCH_OUTSIDE;
	if (filter_task_outside(next, next_ids))
		key.next = SWITCH_OUTSIDE;
	if (prev_ids >> 32 == cb_filter.self || next_ids >> 32 == cb_filter.self)
		return 0;
	if (!wanted(prev, prev_ids, next, next_ids)) {
		count_filtered();
		return 0;
	}
	if (cb_where_on && !holds(prev, prev_ids, next, next_ids, typed))
		return 0;
	s = top_entry(&key, &made);
	if (!s)
		return 0;
	__sync_fetch_and_add(&s->switches, 1);
	if (made) {
		s->prev_pid = prev_ids >> 32;
		s->next_pid = next_ids >> 32;
		BPF_CORE_READ_STR_INTO(&s->prev_comm, prev, comm);
		BPF_CORE_READ_STR_INTO(&s->next_comm, next, comm);
	}
	return 0;
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
