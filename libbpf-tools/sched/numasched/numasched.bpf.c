// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/sched.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "numasched.h"

/* A place for every number that the kernel gives a thread: user space knows how many. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct node_entry);
} last_nodes SEC(".maps");

static __always_inline __u16 *last_node(__u32 tid)
{
	__u32 key = tid / NODES_PER_ENTRY;
	struct node_entry *entry = bpf_map_lookup_elem(&last_nodes, &key);

	return entry ? &entry->node[tid % NODES_PER_ENTRY] : NULL;
}

static __noinline int report(void *ctx, struct task_struct *task, __u32 from, __u32 to)
{
	struct numasched_event e = { .from = from, .to = to };
	__u64 ids = task_ids(task);

	if (ids >> 32 == cb_filter.self)
		return 0;
	if (!filter_task(task)) {
		count_filtered();
		return 0;
	}
	e.time_ns = bpf_ktime_get_ns();
	e.pid = ids >> 32;
	e.tid = ids;
	e.cpu = bpf_get_smp_processor_id();
	BPF_CORE_READ_STR_INTO(&e.comm, task, comm);
	event_output(ctx, &e, sizeof(e));
	return 0;
}

static __always_inline int switched(void *ctx, struct task_struct *prev, struct task_struct *next,
				    bool typed)
{
	__u32 tid = sched_tid(next, typed), node, last;
	__u16 *slot;

	if (prev_is_dead(prev, typed)) {
		slot = last_node(sched_tid(prev, typed));
		if (slot)
			*slot = 0;
	}
	if (!tid) /* each CPU has an idle task of its own */
		return 0;
	slot = last_node(tid);
	if (!slot) { /* pid_max was raised */
		count_lost_map();
		return 0;
	}
	node = bpf_get_numa_node_id() + 1;
	last = *slot;
	if (last == node)
		return 0;
	*slot = node;
	if (last)
		report(ctx, next, last - 1, node - 1);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switch_tp_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, prev, next, true);
}

SEC("raw_tp/sched_switch")
int BPF_PROG(switch_raw_tp, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, prev, next, false);
}
