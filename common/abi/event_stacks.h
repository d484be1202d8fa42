/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stacks that travel with an event, as addresses: unlike ids in a map of stacks they are never
 * overwritten and cannot collide. The end of a record: only what is used is sent. */
#pragma once
#include "abi/types.h"

#define EVENT_STACK_DEPTH 127 /* kernel.perf_event_max_stack unless the user changed it */

struct event_stacks {
	__u32 image; /* of the program that the user stack is of: STACK_IMAGE(), abi/stacks.h */
	__u16 kernel_len, user_len; /* in bytes */
	__u64 addresses[2 * EVENT_STACK_DEPTH]; /* of the kernel, then of the user; leaf first */
};

struct event_stacks_config {
	bool kernel, user; /* which are taken */
	__u32 depth;       /* frames at most */
};
