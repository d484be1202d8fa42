/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sums by stack: bpf/stacks.bpf.h fills them, shape/stacks.hpp prints them. */
#pragma once
#include "abi/types.h"

#define STACK_DEPTH 127        /* frames, kernel.perf_event_max_stack unless the user changed it */
#define STACK_STORAGE 16384    /* stacks */
#define STACK_SPILL_SHARE 4    /* stacks per room in the second map */
#define STACK_HASH_STORAGE 40960 /* keys */

#define STACK_NONE (-14)       /* -EFAULT: there is no such stack; what bpf_get_stackid() says */
#define STACK_SPILLED (1 << 30) /* bit of a stack id: it lies in the second map */

struct stacks_config {
	__u8 kernel, user; /* which stacks are taken */
	__u8 threads;      /* threads of a process are told apart */
};

/* Which program a process was: an address of its first stack, which the kernel chooses at random
 * at each exec and shows as field 28 of /proc/PID/stat. */
#define STACK_IMAGE(start_stack) ((__u32)((start_stack) >> 4))

struct stack_key {
	__u32 generation;
	__u32 pid;
	__u32 tid; /* 0 unless threads are told apart */
	__u32 image; /* 0 where there is no user stack */
	__u32 event; /* of a tool that counts several: which; else 0 */
	__s32 kernel, user; /* stack ids; negative: an errno, STACK_NONE or the stack was lost */
	char comm[COMM_LEN] __attribute__((aligned(8)));
	__u32 detail; /* what else the tool tells apart */
	__u32 unused; /* keys have no padding */
};

/* A process with a new user stack. */
struct stack_task {
	__u32 pid;
	__u32 image;
};

struct stack_value {
	__u64 events;
	__u64 total; /* of what the tool adds up beside; 0 where it only counts */
};
