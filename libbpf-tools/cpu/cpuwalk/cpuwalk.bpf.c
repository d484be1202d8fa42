// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/task_event.bpf.h"
#include "cpuwalk.h"

const volatile struct cpuwalk_config cfg = { .step = 1 };
HIST()

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id();

	/* The idle tasks, whose thread id is 0 on every CPU. */
	if (!(__u32)bpf_get_current_pid_tgid() || !filter_current() || !current_holds(0))
		return 0;
	hist_count_in(linear_slot(cpu, cfg.step), cpu);
	return 0;
}
