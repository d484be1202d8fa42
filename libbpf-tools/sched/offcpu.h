/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tools of time off the CPU have in common. */
#pragma once
#include "abi/types.h"

/* Why a thread left its CPU: the place in this list is the code. The letters of ps; R wants to run,
 * I is a kernel thread's uninterruptible sleep that is no load. `?`: it was being woken already. */
#define OFF_STATES "RSDITtP?"

enum off_state { OFF_R, OFF_S, OFF_D, OFF_I, OFF_T, OFF_TRACED, OFF_PARKED, OFF_UNKNOWN };

struct off_config {
	__u64 min_ns, max_ns;
	__u32 state_mask; /* bits of the kernel's state that are asked for ... */
	__u32 states;     /* ... or 1 << code */
	__u8 by_state;
	__u8 user_threads, kernel_threads; /* only these */
};

#define OFF_TASKS 16384 /* user space makes room for more where more threads are */

#ifdef __bpf__
#define OFF_PLACES_BITS 13

#ifndef OFF_TASK_MORE
#define OFF_TASK_MORE
#endif

/* A thread that left its CPU at least once. */
struct off_task {
	__u64 owner;    /* address of the task; 0: nobody's place */
	__u64 start_ns; /* 0: it is on a CPU, or not asked for */
	__u32 state;
	OFF_TASK_MORE /* the tool's own */
};
#endif
