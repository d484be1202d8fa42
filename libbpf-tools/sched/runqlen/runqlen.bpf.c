// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../queue_length.bpf.h"
#include "bpf/hist.bpf.h"
#include "runqlen.h"
#include "bpf/where.bpf.h"

HIST()

static __noinline bool holds(__u32 length)
{
	struct runqlen_event e = { .length = length, .cpu = bpf_get_smp_processor_id() };

	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline int count(__u32 length, bool typed)
{
	/* The one that runs does not wait. The idle task is on no queue. */
	if (length && (typed ? bpf_get_current_task_btf()->pid : (__u32)bpf_get_current_pid_tgid()))
		length--;
	if (cb_where_on && !holds(length))
		return 0;
	hist_count_in(linear_slot(length, 1), length);
	return 0;
}

SEC("perf_event")
int sample_task(struct bpf_perf_event_data *ctx)
{
	struct rq *rq = current_run_queue(TASK_IS_TYPED);

	return rq ? count(tasks_on_queue(rq, TASK_IS_TYPED), TASK_IS_TYPED) : 0;
}

SEC("perf_event")
int sample_variable(struct bpf_perf_event_data *ctx)
{
	return count(tasks_on_queue(run_queue_of(bpf_get_smp_processor_id()), false), false);
}
