/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/cgroup_note.h"
#include "abi/event_stacks.h"
#include "abi/task.h"

struct oomkill_config {
	__u32 page_bytes;
};

#define OOM_SCOPE_CGROUP 3 /* the last of enum oom_constraint, v5.10 to v7.2 */
#define OOM_ORDER_SYSRQ -1 /* oom_control.order, of SysRq f */

struct oomkill_event {
	struct task_info trigger; /* whose allocation failed; its time */
	__u32 pid, uid;           /* of the victim */
	__u32 gfp;
	__s32 order;
	__u32 scope; /* enum oom_constraint */
	__s32 score_adj;
	bool chosen; /* else killed with another process of its cgroup */
	__u8 unused[3];
	__u64 pages; /* of the memory and swap that were to be shared out */
	__s64 points;
	__u64 total_vm, anon, file, shmem, swap, page_tables; /* bytes */
	char comm[COMM_LEN];
	struct cgroup_note cgroup; /* of the victim */
	struct cgroup_note limit;  /* whose limit was reached, with OOM_SCOPE_CGROUP */
	struct event_stacks stacks; /* of the trigger; as much as there is */
};
