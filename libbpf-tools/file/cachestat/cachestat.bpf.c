// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/counters.bpf.h"
#include "cachestat.h"

/* The tool reads no file while it runs, so where nobody is left out a read need not be asked whose
 * it is: reads are the many. */
static __always_inline void page_cache_count(enum page_cache_event event, __u64 pages)
{
	if (event == PAGE_CACHE_READ ? counters_wanted() : filter_current())
		counters_add(event, pages);
}

#define PAGE_CACHE_HOOKS
#include "../page_cache.bpf.h"
