/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/path.h"
#include "abi/task.h"

struct slow_config {
	__u64 min_ns; /* only what took this long; 0: all */
	bool full_path;
};

/* What was slow, when it ended: the record of fsslower and fileslower. */
struct slow_event {
	struct task_info task;
	__u64 lat_ns;
	__s64 ret;
	__s64 offset; /* -1: none */
	__u64 inode;
	__u32 mode;   /* of the inode */
	__u32 kind;   /* the tool's */
	struct path_record path; /* the name, or the full path */
};
