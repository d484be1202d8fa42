// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define COUNTERS_WITHOUT_FILTER
#include "../queue_length.bpf.h"
#include "bpf/counters.bpf.h"
#include "cpuunclaimed.h"

const volatile struct unclaimed_config cfg = {};

/* The run queue of each CPU, as it tells itself at its first sample. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} queues SEC(".maps");

/* Of the sample that is being taken, by one CPU. In memory, of which the verifier does not try to
 * follow the values through the loop. */
struct {
	__u64 known, cpus, running, queued;
} tally;

static __always_inline void look_at(struct rq *rq)
{
	__u32 tasks;

	tally.known++;
	if (!BPF_CORE_READ(rq, online))
		return;
	tally.cpus++;
	tasks = tasks_on_queue(rq);
	if (tasks) {
		tally.running++;
		tally.queued += tasks - 1;
	}
}

static __always_inline int sample(void)
{
	__u32 here = bpf_get_smp_processor_id();
	__u64 idle, *queue = bpf_map_lookup_elem(&queues, &here);

	if (queue && !*queue)
		*queue = (__u64)current_run_queue();
	if (here != cfg.leader)
		return 0;

	tally.known = tally.cpus = tally.running = tally.queued = 0;
	for (__u32 cpu = 0; cpu < cfg.cpus; cpu++) {
		__u32 key = cpu;

		queue = bpf_map_lookup_elem(&queues, &key);
		if (queue && *queue)
			look_at((struct rq *)*queue);
	}
	if (tally.known < cfg.online) /* the first moments */
		return 0;
	idle = tally.cpus - tally.running;
	counters_add(UNCLAIMED_SAMPLES, 1);
	counters_add(UNCLAIMED_CPUS, tally.cpus);
	counters_add(UNCLAIMED_RUNNING, tally.running);
	counters_add(UNCLAIMED_QUEUED, tally.queued);
	counters_add(UNCLAIMED_IDLE, idle < tally.queued ? idle : tally.queued);
	return 0;
}

SEC("perf_event")
int sample_clock(struct bpf_perf_event_data *ctx)
{
	return sample();
}
