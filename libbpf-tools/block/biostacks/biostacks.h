/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define BIOSTACKS_STORAGE 4096 /* keys */
#define BIOSTACKS_SLOTS 48 /* powers of two of the unit: three days in microseconds */

struct biostacks_key {
	__u32 generation;
	__u32 pid;
	__u32 tid;    /* 0 unless threads are told apart */
	__u32 disk;
	__s32 kernel; /* stack id; negative: there is none (STACK_NONE), or it was lost */
	char comm[COMM_LEN];
};

/* A histogram, and the rest exact, in nanoseconds. */
struct biostacks_value {
	__u64 slots[BIOSTACKS_SLOTS];
	__u64 sum;
	__u64 max;
	__u64 min_inv;
};
