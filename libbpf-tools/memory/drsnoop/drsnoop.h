/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/event_stacks.h"
#include "abi/task.h"

enum reclaim_kind { RECLAIM_DIRECT, RECLAIM_CGROUP, RECLAIM_NODE, RECLAIM_KINDS };

struct drsnoop_config {
	__u32 page_bytes;
};

#define DRSNOOP_FREE_UNKNOWN (~0ULL)

struct drsnoop_event {
	struct task_info task; /* its time is that of the end */
	__u32 kind;            /* enum reclaim_kind */
	__u64 ns;
	__u64 pages; /* reclaimed */
	__u64 free;  /* bytes at the beginning; or DRSNOOP_FREE_UNKNOWN */
	__u64 cgroup;
	__s32 order;
	__u32 gfp;
	struct event_stacks stacks; /* as much as there is */
};
