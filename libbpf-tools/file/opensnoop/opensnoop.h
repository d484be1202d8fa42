/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/event_stacks.h"
#include "abi/path.h"
#include "abi/task.h"
#include "abi/uring.h"

struct open_config {
	__u32 flag_mask; /* only opens with one of these flags */
	bool failed, full_path, callers, special; /* the last: any of the others */
};

struct open_event {
	struct task_info task;
	__s32 ret; /* URING_RESULT_UNKNOWN: not known */
	__u32 flags, mode;
	struct path_record path;
};

/* With `callers` the user stack comes behind what is used of the path. */
#define OPEN_STACKS_AT(path_bytes) ((offsetof(struct open_event, path) + (path_bytes) + 7) & ~7ull)
