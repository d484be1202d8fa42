// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define COUNTERS_WITHOUT_FILTER
#include "../queue_length.bpf.h"
#include "bpf/counters.bpf.h"
#include "bpf/event.bpf.h"
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
struct unclaimed_sample each;

/* The tasks of a CPU that is online. */
static __always_inline __u32 look_at(struct rq *rq)
{
	__u32 tasks;

	tally.known++;
	/* Without CONFIG_SMP (before 6.17) there is one CPU. */
	if (bpf_core_field_exists(rq->online) && !BPF_CORE_READ(rq, online))
		return UNCLAIMED_OFFLINE;
	tally.cpus++;
	tasks = tasks_on_queue(rq, false);
	if (tasks) {
		tally.running++;
		tally.queued += tasks - 1;
	}
	return tasks;
}

static __always_inline void look_at_all(bool by_variable)
{
	tally.known = tally.cpus = tally.running = tally.queued = 0;
	if (cfg.each)
		each.time_ns = bpf_ktime_get_ns();
	for (__u32 cpu = 0; cpu < cfg.cpus; cpu++) {
		__u32 key = cpu, tasks = UNCLAIMED_OFFLINE;
		__u64 *queue;

		if (by_variable) {
			tasks = look_at(run_queue_of(cpu));
		} else {
			queue = bpf_map_lookup_elem(&queues, &key);
			if (queue && *queue)
				tasks = look_at((struct rq *)*queue);
		}
		if (!cfg.each)
			continue;
		each.cpu[cpu].tasks = tasks;
		if (cfg.offsets)
			each.cpu[cpu].offset_ns = time_since(each.time_ns);
	}
}

static __always_inline int sample(void *ctx, bool by_variable)
{
	__u32 here = bpf_get_smp_processor_id();
	__u64 idle, *queue;

	if (!by_variable) {
		queue = bpf_map_lookup_elem(&queues, &here);
		if (queue && !*queue)
			*queue = (__u64)current_run_queue(false);
	}
	if (here != cfg.leader)
		return 0;
	look_at_all(by_variable);
	if (tally.known < cfg.online) /* the first moments */
		return 0;
	if (cfg.each) {
		event_output(ctx, &each, sizeof(each.time_ns) + cfg.cpus * sizeof(each.cpu[0]));
		return 0;
	}
	idle = tally.cpus - tally.running;
	counters_add(UNCLAIMED_SAMPLES, 1);
	counters_add(UNCLAIMED_CPUS, tally.cpus);
	counters_add(UNCLAIMED_RUNNING, tally.running);
	counters_add(UNCLAIMED_QUEUED, tally.queued);
	counters_add(UNCLAIMED_IDLE, idle < tally.queued ? idle : tally.queued);
	return 0;
}

SEC("perf_event")
int sample_task(struct bpf_perf_event_data *ctx)
{
	return sample(ctx, false);
}

SEC("perf_event")
int sample_variable(struct bpf_perf_event_data *ctx)
{
	return sample(ctx, true);
}
