/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How records travel; set by user space before load. */
#pragma once
#include "abi/types.h"

struct event_config {
	__u32 wakeup_bytes; /* wake the reader when so much waits; below, its timer finds it */
	__u8 perf;          /* perf buffer instead of ring buffer (before 5.8) */
};
