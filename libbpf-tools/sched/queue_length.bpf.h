/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many tasks are on a CPU's run queue. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"

/* The CPU's own run queue. Every task knows the one of its CPU, whatever its class is and whichever
 * group it is in (set_task_rq()): no need for the address of a variable, which 5.10's BTF lacks. */
static __always_inline struct rq *current_run_queue(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, se.cfs_rq, rq);
}

/* 76f2f783294d (v6.13) counted them, 7b8a702d9438 (v6.14) the others instead. */
struct cfs_rq___v6_13 {
	unsigned int h_nr_delayed;
} __attribute__((preserve_access_index));

/* Tasks of all classes and groups that run or are ready to. rq.nr_running also has those that were
 * left in the queue when they went to sleep, to pay off the time they had too much (152e11f6df29,
 * v6.12); where the queue counts both, these are taken off (7b8a702d9438, v6.14, and Debian's
 * 6.12). */
static __always_inline __u32 tasks_on_queue(struct rq *rq)
{
	__u32 running = BPF_CORE_READ(rq, nr_running);

	if (bpf_core_field_exists(rq->cfs.h_nr_runnable)) {
		__u32 queued = BPF_CORE_READ(rq, cfs.h_nr_queued);
		__u32 runnable = BPF_CORE_READ(rq, cfs.h_nr_runnable);

		if (queued > runnable && running >= queued - runnable)
			running -= queued - runnable;
	} else {
		struct cfs_rq___v6_13 *cfs = (void *)&rq->cfs;

		if (bpf_core_field_exists(cfs->h_nr_delayed)) {
			__u32 delayed = BPF_CORE_READ(cfs, h_nr_delayed);

			running -= delayed < running ? delayed : running;
		}
	}
	return running;
}
