// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../handler.bpf.h"
#include "softirqs.h"

static __always_inline int entry(void)
{
	__u32 cpu;
	struct handler_cpu *slot = handler_cpu(&cpu);

	if (slot)
		slot->begun_ns[0] = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int leave(__u32 vector)
{
	__u32 cpu;
	struct handler_cpu *slot = handler_cpu(&cpu);
	__u64 ns;

	if (!slot) {
		if (cfg.by_cpu && cpu != cfg.cpu)
			count_filtered();
		return 0;
	}
	if (handler_time(&slot->begun_ns[0], &ns))
		fixed_add(slot, cpu, vector, ns);
	return 0;
}

#define PROGRAMS(kind)                                 \
	SEC(#kind "/softirq_entry")                    \
	int entry_##kind(__u64 *ctx)                   \
	{                                              \
		return entry();                        \
	}                                              \
	SEC(#kind "/softirq_exit")                     \
	int exit_##kind(__u64 *ctx)                    \
	{                                              \
		return leave(ctx[0]);                  \
	}

PROGRAMS(tp_btf)
PROGRAMS(raw_tp)
