/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task_event.h"

struct swap_key {
	__u32 generation;
	__u32 pid;
	char comm[COMM_LEN];
};

/* Pages. */
struct swap_value {
	__u64 in, out;
};

/* For --where. */
struct swap_event {
	struct task_event task;
	__u32 pages;
	__u32 out;
};
