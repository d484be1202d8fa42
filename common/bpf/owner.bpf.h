/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The running task as the owner of a socket. 5.10+. */
#pragma once
#include "abi/sock_owner.h"
#include "bpf/filter.bpf.h"

/* A worker of io_uring has the number of its process, and a name of its own (iou-wrk-PID): what it
 * does is its process's. */
static __always_inline bool is_io_worker(bool typed)
{
	if (typed && HAS_HELPER(get_current_task_btf))
		return bpf_get_current_task_btf()->flags & PF_IO_WORKER;
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), flags) & PF_IO_WORKER;
}

static __noinline void owner_comm_of_leader(char *comm)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	bpf_probe_read_kernel(comm, COMM_LEN, BPF_CORE_READ(task, group_leader, comm));
}

/* Fills all but `traced`. `typed`: see task.bpf.h. */
static __always_inline void owner_read(struct sock_owner *owner, bool typed)
{
	struct task_info task;

	task_info_read(&task, typed);
	if (is_io_worker(typed))
		owner_comm_of_leader(task.comm);
	owner->pid = task.pid;
	owner->tid = task.tid;
	owner->uid = task.uid;
	__builtin_memcpy(owner->comm, task.comm, sizeof(task.comm));
}
