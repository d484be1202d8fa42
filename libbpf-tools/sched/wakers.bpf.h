/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who wakes a thread: the running task, at sched_waking, which is where the waking begins. At
 * sched_wakeup, where it ends, another CPU may be at work that was only asked to. 5.10+.
 *
 * Included by a tool in place of bpf/stacks.bpf.h. */
#pragma once
#include "wakers.h"
#define STACK_KEY struct wake_key
#include "bpf/stack_memo.bpf.h"
#include "offcpu.bpf.h"

/* The kernel stack is always taken: by that user space tells an interrupt from the task that it
 * interrupted. */
static __always_inline void take_waker(void *ctx, struct waker *waker, bool typed)
{
	bool known = typed && HAS_HELPER(get_current_task_btf);
	__u64 ids = current_ids();

	waker->pid = ids >> 32;
	waker->tid = ids;
	waker->image = 0;
	waker->user = cb_stack.user ? stack_id(ctx, BPF_F_USER_STACK) : STACK_NONE;
	if (known) {
		struct task_struct *task = bpf_get_current_task_btf();

		waker->kernel = kernel_stack_id(ctx, task, true);
		if (waker->user >= 0)
			waker->image = STACK_IMAGE(task->mm->start_stack);
	} else {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		waker->kernel = stack_id(ctx, 0);
		if (waker->user >= 0)
			waker->image = STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
	}
	current_comm(typed, waker->comm);
}

/* As stack_add(). */
static __always_inline void wake_add(struct wake_key *key, __u64 total)
{
	enum stack_added added;

	if (!cb_stack.threads)
		key->target.tid = key->waker.tid = 0;
	key->target.generation = cb_generation;
	added = stack_sum(key, total);
	if (added == STACK_NOT_ADDED)
		return;
	if (added == STACK_ADDED_NEW) {
		if (key->target.user >= 0)
			tell_task(key->target.pid, key->target.image);
		if (key->waker.user >= 0)
			tell_task(key->waker.pid, key->waker.image);
	}
	if (stack_lost(key->target.kernel) || stack_lost(key->target.user) ||
	    stack_lost(key->waker.kernel) || stack_lost(key->waker.user))
		count_lost_stack();
}
