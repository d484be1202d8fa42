/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"
#include "../file_name.h"

enum stat_call {
	CALL_STAT,
	CALL_LSTAT,
	CALL_FSTAT,
	CALL_FSTATAT,
	CALL_STATX,
	CALL_STATFS,
	CALL_FSTATFS,
	STAT_CALLS,
};

struct stat_config {
	bool failed;
};

struct stat_event {
	struct task_info task;
	__s32 ret;
	__u32 call;
	struct file_name file;
};
