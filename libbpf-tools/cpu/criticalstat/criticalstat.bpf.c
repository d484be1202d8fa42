// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "criticalstat.h"

const volatile struct critical_config cfg = {};

/* By CPU; user space makes room for all. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct critical_cpu);
} cpus SEC(".maps");

EVENT_SCRATCH(struct critical_event, 1)

static __always_inline struct critical_cpu *this_cpu(__u32 *cpu)
{
	*cpu = bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&cpus, cpu);
}

/* User space attaches these two: to which tracepoints is asked on the command line, and most kernels
 * have none of preemptirq. All four of those have as arguments where it was, and from where that was
 * called; others may have fewer, and a program that reads more than there are is not attached. */
SEC("raw_tp")
int section_begin(__u64 *ctx)
{
	__u32 cpu;
	struct critical_cpu *slot = this_cpu(&cpu);

	/* Preemptirq's tracepoints tell of the outermost begin and end only. Of others that nest the
	 * section is the one from the first begin to the next end: to count how deep they are would
	 * need each begin to have its end on the same CPU, which many pairs have not (a system call
	 * may end on another one). A count that drifts would show no section ever after. */
	if (!slot || slot->idle || slot->begun_ns)
		return 0;
	if (cfg.places) {
		slot->ip = ctx[0];
		slot->parent_ip = ctx[1];
	}
	slot->begun_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("raw_tp")
int section_end(__u64 *ctx)
{
	__u32 cpu;
	struct critical_cpu *slot = this_cpu(&cpu);
	struct critical_event *e;
	__u64 now, ns, ids;
	long bytes;

	if (!slot || !slot->begun_ns)
		return 0;
	now = bpf_ktime_get_ns();
	ns = time_between(slot->begun_ns, now);
	slot->begun_ns = 0;
	if (ns < cfg.min_ns || !filter_current())
		return 0;
	e = event_scratch(0);
	if (!e)
		return 0;
	ids = current_ids();
	e->time_ns = now;
	e->ns = ns;
	e->begin_ip = slot->ip;
	e->begin_parent_ip = slot->parent_ip;
	e->end_ip = cfg.places ? ctx[0] : 0;
	e->end_parent_ip = cfg.places ? ctx[1] : 0;
	e->pid = ids >> 32;
	e->tid = ids;
	e->cpu = cpu;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bytes = bpf_get_stack(ctx, e->stack, sizeof(e->stack), 0);
	e->stack_bytes = bytes;
	if (bytes < 0 || bytes > (long)sizeof(e->stack)) {
		__sync_fetch_and_add(&account()->lost_stack, 1);
		bytes = 0;
	}
	event_output(ctx, e, sizeof(*e) - sizeof(e->stack) + bytes);
	return 0;
}

/* Idling is done with interrupts disabled, and is nobody's fault. */
SEC("raw_tp/cpu_idle")
int idle(__u64 *ctx)
{
	__u32 cpu;
	struct critical_cpu *slot = this_cpu(&cpu);

	if (slot) {
		slot->idle = (__u32)ctx[0] != (__u32)-1; /* PWR_EVENT_EXIT, linux/tracepoint power.h */
		slot->begun_ns = 0;
	}
	return 0;
}
