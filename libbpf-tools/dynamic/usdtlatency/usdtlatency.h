/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/hist.h"
#include "abi/usdt.h"

#define PAIR_DEPTH 8       /* begins of one process and value that wait for their end; a power of two */
#define PAIR_WAITING 65536 /* processes and values that wait */

struct usdtlatency_config {
	__u64 unit_ns;
	__u32 begin_argument, end_argument; /* from 1; 0: the thread's ID */
	bool per_process;
};

/* What an end shares with its begin. */
struct pair_key {
	__u64 value;
	__u32 pid;
	__u32 unused;
};

/* The oldest first. */
struct pair_waiting {
	__u32 used;
	__u32 unused;
	__u64 start_ns[PAIR_DEPTH];
};

struct usdtlatency_key {
	__u32 generation;
	__u32 pid;
};

struct pair_counts {
	__u64 begins, ends; /* without the other */
	__u64 unreadable;   /* hits whose argument could not be read */
};
