/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../runtime.h"
#include "abi/task.h"

struct ugc_config {
	__u64 min_ns;
	__u8 kind;       /* enum gc_kind: what the runtime calls its collections */
	__u8 begin_value; /* arguments with a number, or RUNTIME_NO_ARGUMENT */
	__u8 end_value;
};

enum gc_kind {
	GC_PAUSE, /* java */
	GC_POOL,  /* java, within a pause */
	GC_V8,
	GC_PYTHON,
	GC_MARK,  /* ruby */
	GC_SWEEP,
};

struct gc_event {
	struct task_info task;
	__u64 lat_ns;
	__u64 value;     /* of the begin: full (java), collector (node), generation (python) */
	__u64 end_value; /* of the end: objects collected (python) */
	__u32 kind;
	__u32 cpu;
};

/* What java's probes of pools say besides, in bytes. */
struct gc_pool_event {
	struct gc_event gc;
	__u64 used_before, used, max;
	struct runtime_name name; /* class: the collector; method: the pool */
};
