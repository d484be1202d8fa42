/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task_event.h"
#include "abi/hist.h"
#include "../filesystem.h"

struct fsdist_config {
	__u64 unit_ns; /* of the histogram */
};

struct fsdist_key {
	__u32 generation;
	__u32 op; /* enum fs_op */
};

/* For --where. */
struct fsdist_event {
	struct task_event task;
	__s64 ret; /* of reads and writes */
	__u32 op;
	__u32 unused;
};
