/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How records travel; set by user space before load. Each record begins with its time, a __u64 of
 * CLOCK_MONOTONIC: by it the reader puts the records of several buffers into order. */
#pragma once
#include "abi/types.h"

/* What user space made of cb_events. */
enum event_way {
	EVENT_RING,   /* one ring buffer for all CPUs */
	EVENT_PERF,   /* a perf buffer for each CPU (before 5.8) */
	EVENT_SHARDS, /* an array of ring buffers, shared out among the CPUs */
};

struct event_config {
	__u32 wakeup_bytes; /* wake the reader when so much waits; below, its timer finds it */
	__u32 shards;       /* ring buffers, with EVENT_SHARDS */
	__u8 way;           /* enum event_way */
};
