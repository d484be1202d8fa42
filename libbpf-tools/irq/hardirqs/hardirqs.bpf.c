// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../handler.bpf.h"
#include "bpf/top.bpf.h"
#include "hardirqs.h"

/* Each CPU has entries of its own: none is contended, and rows by CPU cost nothing more. */
TOP(struct handler_key, struct handler_named, 1024)

static __always_inline int entry(void)
{
	__u32 cpu;
	struct handler_cpu *slot = handler_cpu(&cpu);
	__u64 depth;

	if (!slot)
		return 0;
	depth = slot->depth;
	slot->depth = depth + 1;
	if (depth < HANDLER_DEPTH)
		slot->begun_ns[depth] = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int vector_entry(void)
{
	__u32 cpu;
	struct handler_cpu *slot = handler_cpu(&cpu);

	if (slot)
		slot->vector_begun_ns = bpf_ktime_get_ns();
	return 0;
}

/* Where the name is, not what it is, tells the handlers of one line apart: comparing eight bytes is
 * cheap. The name itself is copied once an interval. */
static __always_inline void handler_add(__u32 irq, const char *name, __u32 cpu, __u64 ns)
{
	struct handler_key key = { .number = irq, .name = (__u64)name, .cpu = cpu };
	struct handler_named *h;
	bool made;

	if (!handler_holds(irq, name, cpu, ns))
		return;
	h = top_entry(&key, &made);
	if (!h)
		return;
	if (made)
		bpf_probe_read_kernel_str(h->name, sizeof(h->name), name);
	totals_add(&h->totals, ns);
	if (cfg.distributed) {
		if (!cfg.per_cpu)
			key.cpu = 0;
		hists_count(&key, ns, cfg.unit_ns);
	}
}

#define IRQ_NONE 0 /* linux/irqreturn.h: it was another device on the shared line */

static __always_inline int leave(__u32 irq, struct irqaction *action, int ret, bool typed)
{
	__u32 cpu;
	struct handler_cpu *slot;
	__u64 ns = 0, depth;

	if (cfg.counts_only && ret == IRQ_NONE)
		return 0;
	slot = handler_cpu(&cpu);
	if (!slot) {
		if (cfg.by_cpu && cpu != cfg.cpu && ret != IRQ_NONE)
			count_filtered();
		return 0;
	}
	if (!cfg.counts_only) {
		depth = slot->depth;
		if (!depth) /* it began before the tool did */
			return 0;
		slot->depth = --depth;
		if (ret == IRQ_NONE)
			return 0;
		if (depth >= HANDLER_DEPTH) {
			__sync_fetch_and_add(&account()->lost_nested, 1);
			return 0;
		}
		ns = time_since(slot->begun_ns[depth]);
	}
	handler_add(irq, typed ? action->name : BPF_CORE_READ(action, name), cpu, ns);
	return 0;
}

static __always_inline int vector_leave(enum hardirq_vector vector)
{
	__u32 cpu;
	struct handler_cpu *slot = handler_cpu(&cpu);
	__u64 ns;

	if (!slot) {
		if (cfg.by_cpu && cpu != cfg.cpu)
			count_filtered();
		return 0;
	}
	if (handler_time(&slot->vector_begun_ns, &ns))
		fixed_add(slot, cpu, vector, ns);
	return 0;
}

/* Raw: no argument is read, and a raw tracepoint is there on every kernel that has the event. */
SEC("raw_tp/irq_handler_entry")
int entry_raw_tp(void *ctx) { return entry(); }

#define PROGRAMS(kind, typed)                                                           \
	SEC(#kind "/irq_handler_exit")                                                  \
	int BPF_PROG(exit_##kind, int irq, struct irqaction *action, int ret)           \
	{                                                                               \
		return leave(irq, action, ret, typed);                                  \
	}

PROGRAMS(tp_btf, true)
PROGRAMS(raw_tp, false)

#define VECTOR(number, prefix, event)                  \
	SEC("raw_tp/" #event "_entry")                 \
	int prefix##_entry(void *ctx)                  \
	{                                              \
		return vector_entry();                 \
	}                                              \
	SEC("raw_tp/" #event "_exit")                  \
	int prefix##_exit(void *ctx)                   \
	{                                              \
		return vector_leave(number);           \
	}

VECTOR(VECTOR_LOCAL_TIMER, timer, local_timer)
VECTOR(VECTOR_RESCHEDULE, resched, reschedule)
VECTOR(VECTOR_CALL_FUNCTION, call, call_function)
VECTOR(VECTOR_CALL_FUNCTION_SINGLE, call1, call_function_single)
VECTOR(VECTOR_IRQ_WORK, work, irq_work)
VECTOR(VECTOR_PLATFORM_IPI, ipi, x86_platform_ipi)
