/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../call.h"
#include "abi/stacks.h"
#include "abi/task.h"

#define FUNCSLOWER_ARGS 6

struct funcslower_config {
	__u64 min_ns;
	__u32 args; /* how many are shown */
	bool kernel_stack, user_stack;
};

struct funcslower_event {
	struct task_info task; /* time_ns: when it returned */
	__u64 lat_ns;
	__u64 ret;
	__u32 function;
	__u32 image;
	__s32 kernel, user;
	__u64 args[FUNCSLOWER_ARGS]; /* only as many as are shown are sent */
};

/* What the entry of a call saw. */
struct funcslower_entry {
	__u64 args[FUNCSLOWER_ARGS];
	__s64 kernel;
};

struct funcslower_thread {
	struct funcslower_entry entries[CALL_DEPTH];
};
