/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../dcache.h"
#include "abi/path.h"
#include "abi/task.h"

struct dcsnoop_config {
	bool all;       /* references too */
	bool full_path; /* the directory that the name was looked up in */
};

struct dcsnoop_event {
	struct task_info task;
	__u32 result; /* enum dcache_result */
	struct path_record path;
};
