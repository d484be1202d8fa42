/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A fixed set of event counters that user space reads without a system call. They only grow: an
 * interval is the difference of two readings, so none is ever lost. 5.10+. */
#pragma once
#include "abi/counters.h"
#ifdef COUNTERS_WITHOUT_FILTER /* what is counted is no task's */
#include "bpf/core.bpf.h"
#else
#include "bpf/filter.bpf.h"
#endif

struct counters cb_counters[COUNTERS_CPUS] __attribute__((aligned(64)));

/* Constant at load time. A machine with one CPU needs no slots, and no helper call to choose one;
 * a tool that was asked for no restriction needs no filter, whose test that this is not the tool
 * itself would be a third of all that a call costs (45 of 137 instructions on 6.12): user space
 * then takes off what the tool has caused (shape/counters.hpp). */
const volatile struct counters_config cb_counters_config = { .per_cpu = true, .filter = true };

#ifndef COUNTERS_WITHOUT_FILTER
static __always_inline bool counters_wanted(void)
{
	return !cb_counters_config.filter || filter_current();
}
#endif

static __always_inline void counters_add(__u32 counter, __u64 n)
{
	__u32 cpu = 0;

	if (cb_counters_config.per_cpu)
		cpu = bpf_get_smp_processor_id() & (COUNTERS_CPUS - 1);
	__sync_fetch_and_add(&cb_counters[cpu].n[counter], n);
}
