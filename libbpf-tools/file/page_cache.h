/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What happens to the page cache, counted in pages: page_cache.bpf.h sees it. */
#pragma once

enum page_cache_event {
	PAGE_CACHE_READ,    /* a read asked for a page */
	PAGE_CACHE_FAULT,   /* a page fault asked for one */
	PAGE_CACHE_READ_IN, /* a page is being read from storage, for a reader or ahead of one */
	PAGE_CACHE_DIRTIED, /* a clean page became dirty */
	PAGE_CACHE_ADDED,   /* a page came into the cache, to be read or written */
};
