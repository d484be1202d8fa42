/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* How a name was looked up in the dentry cache. */
enum dcache_result {
	DCACHE_FAST, /* found by a path walk, as a file or as a name that is known not to exist */
	DCACHE_SLOW, /* the same, by a search of its own: creat, unlink, rename ... */
	DCACHE_MISS, /* not found: the file system is asked */
};
