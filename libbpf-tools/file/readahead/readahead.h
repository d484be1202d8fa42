/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* In pages, since the start; they only grow. */
struct readahead_pages {
	__u64 ahead;   /* brought into the cache by read-ahead */
	__u64 used;    /* of these, used since */
	__u64 dropped; /* of these, removed from the cache before they were used */
};
