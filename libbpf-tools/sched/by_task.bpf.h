/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A time that a task spent in some state, into a histogram for all or for each thread, process, PID
 * namespace or cgroup. `typed`: as in sched.bpf.h. 5.10+. */
#pragma once
#include "bpf/filter.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/sched.bpf.h"
#include "bpf/task_event.bpf.h"
#include "by_task.h"
#include "cgroup_notes.bpf.h"

const volatile struct by_task cb_by = { .unit_ns = 1000 };
HIST()
/* Allocated beforehand: to allocate at a switch may wake a kernel thread, for which the kernel takes
 * the lock that it already holds (before 6.1). */
HISTS_BY_CPU(struct by_task_key, 65536)

/* filter_task() for who knows its ids already. */
static __always_inline bool sched_wanted(struct task_struct *task, __u64 ids)
{
	if (cb_filter.by_uid || cb_filter.comm[0] || filter_needs_task())
		return filter_task(task);
	return filter_by_ids(task, ids) && !filter_task_outside(task, ids);
}

/* The number of the innermost PID namespace that a task is in. A thread that was reaped and still has
 * to leave its CPU has none any more, but its process; 0 if that is reaped too. */
static __noinline __u32 pid_namespace_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid upid;
	__u32 level;

	if (!pid)
		pid = BPF_CORE_READ(task, group_leader, thread_pid);
	level = BPF_CORE_READ(pid, level);
	if (bpf_probe_read_kernel(&upid, sizeof(upid),
				  (void *)pid + bpf_core_field_offset(pid->numbers) +
					  level * sizeof(upid)))
		return 0;
	return BPF_CORE_READ(upid.ns, ns.inum);
}

static __noinline int count_by_key(struct task_struct *task, __u64 ids, __u64 ns)
{
	struct by_task_key key = {};

	/* A thread is on one CPU at a time. */
	if (!cb_by.tids)
		key.cpu = bpf_get_smp_processor_id();
	if (cb_by.pids)
		key.pid = ids >> 32;
	if (cb_by.tids)
		key.tid = ids;
	if (cb_by.tids)
		BPF_CORE_READ_STR_INTO(&key.comm, task, comm);
	else if (cb_by.pids)
		BPF_CORE_READ_STR_INTO(&key.comm, task, group_leader, comm);
	if (cb_by.pid_namespaces)
		key.pid_namespace = pid_namespace_of(task);
	if (cb_by.cgroups)
		key.cgroup = cgroup_named(task);
	hists_count(&key, ns, cb_by.unit_ns);
	return 0;
}

/* Counts `ns` for the task, if it is one of those asked for. */
static __always_inline void count_by_task(struct task_struct *task, __u64 ns, bool typed)
{
	__u64 ids = ids_of(task, typed);

	if (ids >> 32 == cb_filter.self)
		return;
	if (!sched_wanted(task, ids)) {
		count_filtered();
		return;
	}
	if (!task_holds(task, ids, ns, typed))
		return;
	if (cb_by.pids || cb_by.tids || cb_by.pid_namespaces || cb_by.cgroups)
		count_by_key(task, ids, ns);
	else
		hist_count(ns, cb_by.unit_ns);
}
