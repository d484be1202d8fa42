/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which function a new thread runs: what pthread_create() received, for the clone in it. */
#pragma once
#include "abi/stacks.h"
#include "bpf/core.bpf.h"
#include "bpf/task_stack.bpf.h"

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
} thread_starts SEC(".maps");

SEC("uprobe")
int BPF_KPROBE(pthread_create, void *thread, void *attributes, void *start)
{
	use_task_stack(ctx);
	__u32 tid = bpf_get_current_pid_tgid();
	struct task_struct *task = (void *)bpf_get_current_task();
	struct thread_start begun = { .routine = (__u64)start,
				      .caller_ns = BPF_CORE_READ(task, start_time) };

	if (bpf_map_update_elem(&thread_starts, &tid, &begun, BPF_ANY))
		count_lost_map();
	return 0;
}

/* At the clone, of the running task: the function, and the image in which to look it up. 0: not known. */
static __always_inline __u64 take_thread_start(__u32 *image)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct thread_start *start = bpf_map_lookup_elem(&thread_starts, &tid);
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 routine = 0;

	if (!start)
		return 0;
	if (start->caller_ns == BPF_CORE_READ(task, start_time)) {
		routine = start->routine;
		*image = STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
	}
	bpf_map_delete_elem(&thread_starts, &tid);
	return routine;
}
