/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who, when: the start of most records. */
#pragma once
#include "abi/types.h"

struct task_info {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 pid, tid, uid;
	char comm[COMM_LEN];
};
