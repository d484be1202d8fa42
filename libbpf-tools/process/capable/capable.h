/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/event_stacks.h"
#include "abi/task.h"

#define CAP_OPT_NOAUDIT 2  /* include/linux/security.h, since 5.1 */
#define CAP_OPT_INSETID 4
#define CAP_OPTS_UNKNOWN (~0u) /* of the tracepoint */

struct capable_config {
	__u64 caps; /* bit n: checks of capability n; 0: all */
	bool all;   /* checks that are not audited too */
	bool deny;  /* only what was denied */
};

struct capable_event {
	struct task_info task;
	__s32 cap;
	__u32 opts;
	__s32 ret; /* 0: allowed, -EPERM */
	__u32 user_ns; /* whose capability: the inode of the user namespace */
	__u64 cgroup;
	struct event_stacks stacks; /* as much as there is */
};
