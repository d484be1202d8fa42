/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/event_stacks.h"
#include "abi/task.h"

enum compact_kind {
	COMPACT_DIRECT,    /* for an allocation that waits */
	COMPACT_DAEMON,    /* kcompactd */
	COMPACT_PROACTIVE, /* kcompactd, before anybody needs it */
	COMPACT_MANUAL,    /* vm.compact_memory, or another order for all */
	COMPACT_KINDS,
};

struct compactsnoop_config {
	bool extended;
};

#define ZONE_NAME_LEN 16

/* A zone as the compaction finds it, in pages. */
struct compact_zone_state {
	__u64 low, min, high, free;
	__s64 fragmentation; /* thousandths; -1000: there is a block that is large enough */
};

struct compactsnoop_event {
	struct task_info task; /* its time is that of the end */
	__u32 kind;            /* enum compact_kind */
	__u64 ns;
	__u64 migrate_scanned, free_scanned;
	struct compact_zone_state zone; /* with `extended` */
	__s32 node, order;
	__u32 status; /* enum compact_result */
	bool sync;
	__u8 unused[3];
	char zone_name[ZONE_NAME_LEN];
	struct event_stacks stacks; /* as much as there is */
};
