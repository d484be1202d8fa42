/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many tasks are on a CPU's run queue. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"
#include "queue_length.h"

const volatile struct run_queues cb_queues = {};

/* The one number that is asked for: that of vmlinux.h brings 200 more, for which the kernel's BTF is
 * searched at each start. */
enum bpf_func_id___one {
	BPF_FUNC_get_current_task_btf___one = 158,
};

/* Whether the running task can be read without helpers (5.11): a sample's five reads are then ten
 * instructions instead of five calls. */
#define TASK_IS_TYPED                                        \
	bpf_core_enum_value_exists(enum bpf_func_id___one,   \
				   BPF_FUNC_get_current_task_btf___one)

/* The CPU's own run queue. With CONFIG_FAIR_GROUP_SCHED every task knows the one of its CPU, whatever
 * its class is and whichever group it is in (set_task_rq()). */
static __always_inline struct rq *current_run_queue(bool typed)
{
	if (typed)
		return bpf_get_current_task_btf()->se.cfs_rq->rq;
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), se.cfs_rq, rq);
}

/* A CPU's run queue where the kernel's symbols say it is. */
static __always_inline struct rq *run_queue_of(__u32 cpu)
{
	__u64 offset = 0;

	if (cb_queues.offsets)
		bpf_probe_read_kernel(&offset, sizeof(offset),
				      (void *)(cb_queues.offsets + cpu * sizeof(offset)));
	return (struct rq *)(cb_queues.variable + offset);
}

/* 76f2f783294d (v6.13) counted them, 7b8a702d9438 (v6.14) the others instead. */
struct cfs_rq___v6_13 {
	unsigned int h_nr_delayed;
} __attribute__((preserve_access_index));

#define QUEUE_READ(typed, from, member) ((typed) ? (from)->member : BPF_CORE_READ(from, member))

/* Tasks of all classes and groups that run or are ready to. rq.nr_running also has those that were
 * left in the queue when they went to sleep, to pay off the time they had too much (152e11f6df29,
 * v6.12); where the queue counts both, these are taken off (7b8a702d9438, v6.14, and Debian's
 * 6.12). */
static __always_inline __u32 tasks_on_queue(struct rq *rq, bool typed)
{
	__u32 running = QUEUE_READ(typed, rq, nr_running);

	if (bpf_core_field_exists(rq->cfs.h_nr_runnable)) {
		__u32 queued = QUEUE_READ(typed, rq, cfs.h_nr_queued);
		__u32 runnable = QUEUE_READ(typed, rq, cfs.h_nr_runnable);

		if (queued > runnable && running >= queued - runnable)
			running -= queued - runnable;
	} else {
		struct cfs_rq___v6_13 *cfs = (void *)&rq->cfs;

		if (bpf_core_field_exists(cfs->h_nr_delayed)) {
			__u32 delayed = QUEUE_READ(typed, cfs, h_nr_delayed);

			running -= delayed < running ? delayed : running;
		}
	}
	return running;
}
