/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

struct exit_config {
	bool per_thread; /* each thread's end, not only each process's */
	bool failed;     /* only those whose status is not 0 */
};

struct exit_event {
	struct task_info task;
	__u32 ppid;
	__u32 status; /* as wait(2) gives it: of the process with its last thread, else the thread's */
	__u32 last;   /* the process ends with this thread */
	__u64 age_ns;
};
