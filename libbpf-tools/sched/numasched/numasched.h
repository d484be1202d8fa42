/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define NODES_PER_ENTRY 4

/* The node that each thread ran on last, plus 1, by thread id; 0: none. */
struct node_entry {
	__u16 node[NODES_PER_ENTRY];
};

struct numasched_event {
	__u64 time_ns;
	__u32 pid, tid;
	__u16 from, to; /* nodes */
	__u32 cpu;
	char comm[COMM_LEN];
};
