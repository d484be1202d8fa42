// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../queue_length.bpf.h"
#include "bpf/hist.bpf.h"
#include "runqlen.h"

HIST()

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	struct rq *rq = current_run_queue();
	struct hist *h;
	__u32 length;

	if (!rq)
		return 0;
	length = tasks_on_queue(rq);
	/* The one that runs does not wait. The idle task is on no queue. */
	if (length && (__u32)bpf_get_current_pid_tgid())
		length--;
	h = hist_entry();
	if (h)
		hist_add_linear(h, length, 1);
	return 0;
}
