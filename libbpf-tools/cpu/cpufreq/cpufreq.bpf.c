// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* It is about the CPUs. */
#define FILTER_ALL_NAMESPACES
#include "bpf/filter.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/task_event.bpf.h"
#include "cpufreq.h"

HIST()
HISTS(struct cpufreq_key, 16384)

/* What each CPU runs at; user space fills in what it is at the start. */
__u32 cpu_mhz[CPUFREQ_CPUS];

SEC("perf_event")
int sample(void *ctx)
{
	struct cpufreq_key key = {};
	__u32 mhz, slot;

	if (!filter_current())
		return 0;
	mhz = cpu_mhz[bpf_get_smp_processor_id() & (CPUFREQ_CPUS - 1)];
	if (!asked_for(mhz)) /* came online since, and has not changed yet */
		return 0;
	if (!current_holds(mhz * 1000000ULL))
		return 0;
	slot = linear_slot(mhz, CPUFREQ_STEP_MHZ);
	hist_count_in(slot, mhz);
	if (!(__u32)bpf_get_current_pid_tgid()) /* idle: only of the whole */
		return 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	hists_count_in(&key, slot, mhz);
	return 0;
}

static __always_inline int change(__u32 khz, __u32 cpu)
{
	cpu_mhz[cpu & (CPUFREQ_CPUS - 1)] = khz / 1000;
	return 0;
}

SEC("tp_btf/cpu_frequency")
int change_tp_btf(__u64 *ctx)
{
	return change(ctx[0], ctx[1]);
}

SEC("raw_tp/cpu_frequency")
int change_raw_tp(__u64 *ctx)
{
	return change(ctx[0], ctx[1]);
}
