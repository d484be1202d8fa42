/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"
#include "abi/usdt.h"

struct usdt_event {
	struct task_info task;
	__u64 values[USDT_ARGUMENTS];
	__u32 readable; /* a bit for each argument */
	__u32 unused;
};
