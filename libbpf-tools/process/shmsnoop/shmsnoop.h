/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

enum shm_call {
	CALL_SHMGET,
	CALL_SHMAT,
	CALL_SHMDT,
	CALL_SHMCTL,
	SHM_CALLS,
};

struct shmsnoop_config {
	bool failed; /* only calls that failed */
};

struct shm_event {
	struct task_info task;
	__u32 call;
	__u64 a[3]; /* its arguments */
	__s64 ret;
};
