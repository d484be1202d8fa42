/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define WQ_NAME_LEN 32 /* WQ_NAME_LEN, linux/workqueue.h; 24 before v6.10 */
#define WORK_SLOTS 16384 /* a power of two */

struct wqlat_config {
	__u64 unit_ns;
	bool execution; /* from start to end instead of from queue to start */
	bool by_name;
	bool by_function;
	bool named;     /* only the queue of that name */
	char name[WQ_NAME_LEN];
};

/* What --where may ask of work. */
struct wqlat_event {
	__u64 ns;
	char name[WQ_NAME_LEN];
	__u32 cpu;
	__u32 unused;
};

struct wqlat_key {
	__u32 generation;
	__u32 cpu;
	__u64 function; /* its address */
	char name[WQ_NAME_LEN];
};
