/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The time between a tracepoint at the entry of an interrupt's handler and the one at its exit, on
 * one CPU. Softirqs run one at a time on a CPU, and vectors with interrupts disabled: a place for
 * each CPU is enough. Handlers of devices are not interrupted either, but one may call others: that
 * of a GPIO controller those of its lines (generic_handle_domain_irq()). They end in the opposite
 * order, so a few places are enough. No update needs to be atomic. */
#pragma once
#include "bpf/hist.bpf.h"
#include "bpf/where.bpf.h"
#include "handler.h"

const volatile struct handler_config cfg = {};

/* By CPU; user space makes room for all, and maps it: an interval is read without system calls. An
 * array, not a per-CPU one, whose lookup is a call on kernels before 6.10. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct handler_cpu);
} cpus SEC(".maps");

HISTS(struct handler_key, 16384)

/* The running CPU's place; null where it is not asked for. */
static __always_inline struct handler_cpu *handler_cpu(__u32 *cpu)
{
	struct handler_cpu *slot;

	*cpu = bpf_get_smp_processor_id();
	if (cfg.by_cpu && *cpu != cfg.cpu)
		return NULL;
	slot = bpf_map_lookup_elem(&cpus, cpu);
	if (!slot)
		count_lost_map();
	return slot;
}

/* The time since `*begun`, which is taken; false: its begin was not seen. */
static __always_inline bool handler_time(__u64 *begun, __u64 *ns)
{
	__u64 then = *begun;

	*ns = 0;
	if (cfg.counts_only)
		return true;
	if (!then)
		return false;
	*begun = 0;
	*ns = time_since(then);
	return true;
}

/* `name`: of a handler that has one, in the kernel, or NULL. */
static __always_inline bool handler_holds(__u32 number, const char *name, __u32 cpu, __u64 ns)
{
	struct handler_event e = { .ns = ns, .number = number, .cpu = cpu };

	if (!cb_where_on)
		return true;
	if (name)
		bpf_probe_read_kernel_str(e.name, sizeof(e.name), name);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline void totals_add(struct handler_totals *t, __u64 ns)
{
	t->count++;
	if (cfg.counts_only)
		return;
	t->total_ns += ns;
	if (ns > t->max_ns)
		t->max_ns = ns;
}

static __always_inline void fixed_add(struct handler_cpu *slot, __u32 cpu, __u32 number, __u64 ns)
{
	if (!handler_holds(number, NULL, cpu, ns))
		return;
	if (cfg.distributed) {
		struct handler_key key = { .number = number, .cpu = cfg.per_cpu ? cpu : 0 };

		hists_count(&key, ns, cfg.unit_ns);
		return;
	}
	totals_add(&slot->fixed[cb_generation & 1][number & (HANDLER_FIXED - 1)], ns);
}
