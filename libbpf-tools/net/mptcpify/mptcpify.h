/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

#define MPTCPIFY_TARGETS 32

struct mptcpify_config {
	__u32 targets; /* 0: all commands */
	union {
		char comm[COMM_LEN];
		__u64 words[COMM_LEN / 8];
	} target[MPTCPIFY_TARGETS];
};

struct mptcpify_event {
	struct task_info task;
	__u32 family; /* CONN_IPV4, CONN_IPV6 */
};
