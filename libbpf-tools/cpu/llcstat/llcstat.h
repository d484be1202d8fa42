/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

struct llcstat_config {
	__u64 reference_period, miss_period; /* events that one sample stands for */
	bool threads; /* tell the threads of a process apart */
};

struct llcstat_key {
	__u32 generation;
	__u32 pid, tid, cpu;
	char comm[COMM_LEN];
};

/* One CPU's, so updates need not be atomic where samples do not interrupt each other. */
struct llcstat_counts {
	__u64 references, misses;
};
