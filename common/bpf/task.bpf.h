/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Identity of a task, as the tool's own PID namespace sees it. `typed`, a constant: the pointer is
 * an argument of a tp_btf or fentry program, whose members the verifier lets it read without a
 * helper: half of what a small record costs. 5.10+. */
#pragma once
#include "abi/filter.h"
#include "abi/task.h"
#include "bpf/core.bpf.h"

const volatile struct task_filter cb_filter = {};

/* linux/sched.h and uapi/linux/sched.h, v5.10 to v7.2 */
#define PF_KTHREAD 0x200000
#define PF_IO_WORKER 0x10 /* of io_uring; v5.12, and Debian's 5.10, which has the io_uring of 5.15 */
#define CLONE_THREAD 0x10000

#define PID_NS_MAX_LEVEL 32 /* MAX_PID_NS_LEVEL, linux/pid_namespace.h */

/* The number of a `struct pid` in the tool's PID namespace, 0 if it has none there.
 *
 * __noinline, like all that is rarely asked for: a program calls it instead of containing it, which
 * halves the objects; where the configuration rules it out, the verifier drops call and function. */
static __noinline __u32 pid_in_namespace(struct pid *pid)
{
	__u32 depth = BPF_CORE_READ(pid, level);
	struct upid upid;

	/* numbers[] is declared with one element on 5.10 and with none later: index by hand. */
	for (__u32 level = 1; level <= PID_NS_MAX_LEVEL && level <= depth; level++) {
		if (bpf_probe_read_kernel(&upid, sizeof(upid),
					  (void *)pid + bpf_core_field_offset(pid->numbers) +
						  level * sizeof(upid)))
			return 0;
		if (BPF_CORE_READ(upid.ns, ns.inum) == cb_filter.pidns)
			return upid.nr;
	}
	return 0;
}

static __noinline __u64 task_ids_in_namespace(struct task_struct *task)
{
	return (__u64)pid_in_namespace(BPF_CORE_READ(task, group_leader, thread_pid)) << 32 |
	       pid_in_namespace(BPF_CORE_READ(task, thread_pid));
}

/* tgid << 32 | tid of any task. */
static __always_inline __u64 task_ids(struct task_struct *task)
{
	if (!cb_filter.pidns)
		return (__u64)BPF_CORE_READ(task, tgid) << 32 | (__u32)BPF_CORE_READ(task, pid);
	return task_ids_in_namespace(task);
}

static __always_inline __u64 ids_of(struct task_struct *task, bool typed)
{
	if (typed && !cb_filter.pidns)
		return (__u64)task->tgid << 32 | (__u32)task->pid;
	return task_ids(task);
}

static __always_inline __u64 current_ids(void)
{
	if (!cb_filter.pidns)
		return bpf_get_current_pid_tgid();
	return task_ids_in_namespace((struct task_struct *)bpf_get_current_task());
}

static __always_inline __u32 task_tgid(struct task_struct *task)
{
	return task_ids(task) >> 32;
}

static __always_inline __u32 task_ppid(struct task_struct *task)
{
	return task_tgid(BPF_CORE_READ(task, real_parent));
}

/* The name of a task's thread, into COMM_LEN bytes that are aligned to 4. */
static __always_inline void comm_of(struct task_struct *task, char *comm, bool typed)
{
	const char *from = task->comm;

	if (!typed) {
		bpf_probe_read_kernel(comm, COMM_LEN, from);
		return;
	}
	barrier_var(from); /* or clang takes its words byte by byte, since characters are not aligned */
	for (int i = 0; i < COMM_LEN; i += sizeof(__u32))
		*(__u32 *)(comm + i) = *(const __u32 *)(from + i);
}

/* The running task's. The helper copies byte by byte, 120 instructions, a third of what all of a
 * small tool costs. */
static __always_inline void current_comm(bool typed, char *comm)
{
	if (typed && HAS_HELPER(get_current_task_btf))
		comm_of(bpf_get_current_task_btf(), comm, true);
	else
		bpf_get_current_comm(comm, COMM_LEN);
}

/* The running task, now. The user is asked of a helper even where the task is at hand: for each pointer
 * that a program follows from there (cred) the verifier looks three times through all names of the
 * kernel's types (type_is_trusted() and the like, kernel/bpf/verifier.c): 13 ms for each program. */
static __always_inline void task_info_read(struct task_info *info, bool typed)
{
	__u64 ids;

	info->time_ns = bpf_ktime_get_ns();
	info->uid = bpf_get_current_uid_gid();
	/* Since 5.11 a tracing program may read the running task itself. */
	if (typed && HAS_HELPER(get_current_task_btf)) {
		struct task_struct *task = bpf_get_current_task_btf();

		comm_of(task, info->comm, true);
		if (!cb_filter.pidns) {
			info->pid = task->tgid;
			info->tid = task->pid;
			return;
		}
	} else {
		bpf_get_current_comm(info->comm, sizeof(info->comm));
	}
	ids = current_ids();
	info->pid = ids >> 32;
	info->tid = ids;
}

/* The same for any kind of program. */
static __always_inline void task_info_current(struct task_info *info)
{
	task_info_read(info, false);
}
