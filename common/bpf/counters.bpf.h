/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A fixed set of event counters that user space reads without a system call. They only grow: an
 * interval is the difference of two readings, so none is ever lost. 5.10+. */
#pragma once
#include "abi/counters.h"
#include "bpf/filter.bpf.h"

struct counters cb_counters[COUNTERS_CPUS] __attribute__((aligned(64)));

/* Set before load. A machine with one CPU needs no slots, and no helper call to choose one. */
const volatile bool cb_counters_per_cpu = true;

static __always_inline void counters_add(__u32 counter, __u64 n)
{
	__u32 cpu = 0;

	if (cb_counters_per_cpu)
		cpu = bpf_get_smp_processor_id() & (COUNTERS_CPUS - 1);
	__sync_fetch_and_add(&cb_counters[cpu].n[counter], n);
}
