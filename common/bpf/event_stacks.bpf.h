/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stacks of the running task as the end of an event. 5.10+. */
#pragma once
#include "abi/event_stacks.h"
#include "abi/stacks.h"
#include "bpf/core.bpf.h"

const volatile struct event_stacks_config cb_event_stacks = { .depth = EVENT_STACK_DEPTH };

#define EVENT_STACK_BYTES (EVENT_STACK_DEPTH * sizeof(__u64))

/* Fills `s`, which is not on the stack; returns how many bytes of it are to be sent. A tracing
 * program's own frames are among those of the kernel: user space removes them. */
static __always_inline __u64 event_stacks_fill(void *ctx, struct event_stacks *s)
{
	__u64 limit = cb_event_stacks.depth * sizeof(__u64), used = 0, size = 0;
	long n;

	if (limit > EVENT_STACK_BYTES)
		limit = EVENT_STACK_BYTES;
	s->image = 0;
	s->kernel_len = 0;
	s->user_len = 0;
	if (cb_event_stacks.kernel) {
		n = bpf_get_stack(ctx, s->addresses, limit, 0);
		if (n > 0)
			used = n;
		if (used > EVENT_STACK_BYTES)
			used = EVENT_STACK_BYTES;
		s->kernel_len = used;
	}
	if (cb_event_stacks.user) {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		n = bpf_get_stack(ctx, (void *)s->addresses + used, limit, BPF_F_USER_STACK);
		if (n > 0)
			size = n;
		if (size > EVENT_STACK_BYTES)
			size = EVENT_STACK_BYTES;
		s->user_len = size;
		s->image = STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
	}
	return offsetof(struct event_stacks, addresses) + used + size;
}
