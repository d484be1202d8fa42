/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Members of tasks that a tracing program (`typed`: its arguments, since 5.11 the running task) may read
 * without a helper: half of what a small record costs. 5.10+. */
#pragma once
#include "bpf/task.bpf.h"

static __always_inline __u64 ids_of(struct task_struct *task, bool typed)
{
	if (typed && !cb_filter.pidns)
		return (__u64)task->tgid << 32 | (__u32)task->pid;
	return task_ids(task);
}

/* `comm` is COMM_LEN bytes. */
static __always_inline void comm_of(struct task_struct *task, char *comm, bool typed)
{
	if (typed)
		__builtin_memcpy(comm, task->comm, COMM_LEN);
	else
		bpf_probe_read_kernel_str(comm, COMM_LEN,
					  (void *)task + bpf_core_field_offset(task->comm));
}

/* task_info_current(), without the helper that copies the name byte by byte. */
static __always_inline void current_info(struct task_info *info, bool typed)
{
	__u64 ids = current_ids();

	info->time_ns = bpf_ktime_get_ns();
	info->pid = ids >> 32;
	info->tid = ids;
	info->uid = bpf_get_current_uid_gid();
	if (typed && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		comm_of(bpf_get_current_task_btf(), info->comm, true);
	else
		bpf_get_current_comm(info->comm, sizeof(info->comm));
}
