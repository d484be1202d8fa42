// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../run_queue.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "runqslower.h"

const volatile struct runq_config cfg = {};

static __always_inline bool wanted(struct task_struct *next, const char *comm)
{
	for (__u32 i = 0; i < COMM_LEN - 1 && i < cfg.prefix_len; i++)
		if (comm[i] != cfg.prefix[i])
			return false;
	return filter_task(next);
}

static __always_inline void report(void *ctx, struct task_struct *prev, struct task_struct *next,
				   __u64 now, __u64 wait)
{
	struct runq_event e = { .time_ns = now, .wait_ns = wait };
	__u64 ids = task_ids(next);

	if (ids >> 32 == cb_filter.self)
		return;
	BPF_CORE_READ_STR_INTO(&e.comm, next, comm);
	if (!wanted(next, e.comm)) {
		count_filtered();
		return;
	}
	e.pid = ids >> 32;
	e.tid = ids;
	ids = task_ids(prev);
	e.prev_pid = ids >> 32;
	e.prev_tid = ids;
	e.cpu = bpf_get_smp_processor_id();
	e.prio = BPF_CORE_READ(next, prio);
	BPF_CORE_READ_STR_INTO(&e.prev_comm, prev, comm);
	event_output(ctx, &e, sizeof(e));
}

static __always_inline void waited(void *ctx, struct task_struct *prev, struct task_struct *next,
				   __u64 now, __u64 wait, bool typed)
{
	if (wait >= cfg.min_ns)
		report(ctx, prev, next, now, wait);
}
