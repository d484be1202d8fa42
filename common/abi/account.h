/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel side did not deliver, by cause. One line of cache a CPU. */
#pragma once
#include "abi/types.h"

/* A power of two. CPUs beyond it share slots, which stays exact: the updates are atomic. */
#define ACCOUNT_CPUS 128

struct cpu_account {
	__u64 filtered;   /* not the task, file or result that was asked for */
	__u64 lost_ring;  /* no room in the ring or perf buffer */
	__u64 lost_map;   /* a hash map was full */
	__u64 lost_stack; /* no stack id: map full or two stacks with one hash */
	__u64 lost_return; /* a call was seen to begin and never to end */
	__u64 lost_nested; /* deeper in one another than there is room for */
	__u64 unused[2];
};
