// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "../thread_start.bpf.h"
#include "threadsnoop.h"

/* linux/sched.h, v5.10 to v7.2. */
#define CLONE_VFORK 0x4000

const volatile struct thread_config cfg = {};

static __always_inline int created(void *ctx, struct task_struct *child, __u64 flags,
				   bool typed)
{
	__u32 task_flags = typed ? child->flags : BPF_CORE_READ(child, flags);
	struct thread_event e = { .clone_flags = flags };
	__u64 ids;

	if (flags & CLONE_THREAD)
		e.kind = task_flags & PF_IO_WORKER ? KIND_IO_WORKER : KIND_THREAD;
	else if (!cfg.processes)
		return 0;
	else if (task_flags & PF_KTHREAD)
		e.kind = KIND_KERNEL;
	else
		e.kind = flags & CLONE_VFORK ? KIND_VFORK : KIND_PROCESS;
	if (!filter_current())
		return 0;
	if (e.kind == KIND_THREAD)
		e.start = take_thread_start(&e.image);
	ids = ids_of(child, typed);
	e.child_pid = ids >> 32;
	e.child_tid = ids;
	task_info_read(&e.task, typed);
	event_output(ctx, &e, sizeof(e));
	return 0;
}

/* The running task is the one that creates; of a kernel thread, kthreadd. */
SEC("tp_btf/task_newtask")
int BPF_PROG(new_tp_btf, struct task_struct *task, unsigned long flags)
{
	return created(ctx, task, flags, true);
}

SEC("raw_tp/task_newtask")
int BPF_PROG(new_raw_tp, struct task_struct *task, unsigned long flags)
{
	return created(ctx, task, flags, false);
}
