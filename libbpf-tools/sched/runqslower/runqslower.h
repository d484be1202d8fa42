/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

struct runq_config {
	__u64 min_ns;     /* waits of at least this are shown */
	__u32 prefix_len; /* of `prefix`; 0: all commands */
	char prefix[COMM_LEN];
};

struct runq_event {
	__u64 time_ns, wait_ns;
	__u32 pid, tid, prev_pid, prev_tid;
	__u32 cpu;
	__s32 prio;
	char comm[COMM_LEN], prev_comm[COMM_LEN];
};
