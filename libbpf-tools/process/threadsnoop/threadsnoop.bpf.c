// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bpf/filter.bpf.h"
#include "threadsnoop.h"

/* linux/sched.h, v5.10 to v7.2. */
#define CLONE_VFORK 0x4000

const volatile struct thread_config cfg = {};

/* When the thread itself was created tells whether it is still the one that called: one that never
 * came to the clone may have ended, and left its number to another. */
struct thread_start {
	__u64 routine, caller_ns;
};

/* From pthread_create() to the clone in it, by thread. LRU: some never come that far. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct thread_start);
} starts SEC(".maps");

SEC("uprobe")
int BPF_KPROBE(pthread_create, void *thread, void *attributes, void *start)
{
	use_task_stack(ctx);
	__u32 tid = bpf_get_current_pid_tgid();
	struct task_struct *task = (void *)bpf_get_current_task();
	struct thread_start begun = { .routine = (__u64)start,
				      .caller_ns = BPF_CORE_READ(task, start_time) };

	if (bpf_map_update_elem(&starts, &tid, &begun, BPF_ANY))
		count_lost_map();
	return 0;
}

static __always_inline int created(void *ctx, struct task_struct *child, __u64 flags,
				   bool typed)
{
	__u32 task_flags = typed ? child->flags : BPF_CORE_READ(child, flags), tid;
	struct thread_event e = { .clone_flags = flags };
	struct thread_start *start;
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
	if (e.kind == KIND_THREAD) {
		tid = bpf_get_current_pid_tgid();
		start = bpf_map_lookup_elem(&starts, &tid);
		if (start) {
			struct task_struct *task = (void *)bpf_get_current_task();

			if (start->caller_ns == BPF_CORE_READ(task, start_time)) {
				e.start = start->routine;
				e.image = STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
			}
			bpf_map_delete_elem(&starts, &tid);
		}
	}
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
