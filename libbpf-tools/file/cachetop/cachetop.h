/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"
#include "../page_cache.h"

struct cachetop_key {
	__u32 generation;
	__u32 pid, uid;
	char comm[COMM_LEN];
};

struct cachetop_value {
	__u64 pages[PAGE_CACHE_ADDED + 1]; /* by enum page_cache_event */
};
