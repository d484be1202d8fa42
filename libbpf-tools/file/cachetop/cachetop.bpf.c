// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/top.bpf.h"
#include "cachetop.h"

TOP(struct cachetop_key, struct cachetop_value, 16384)

static __always_inline void page_cache_count(enum page_cache_event event, __u64 pages)
{
	struct cachetop_key key = {};
	struct cachetop_value *value;
	bool made;

	if (!filter_current() || !current_holds(0))
		return;
	key.pid = current_ids() >> 32;
	key.uid = bpf_get_current_uid_gid();
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	value = top_entry(&key, &made);
	if (value)
		__sync_fetch_and_add(&value->pages[event], pages);
}

#define PAGE_CACHE_HOOKS
#define PAGE_CACHE_ADDITIONS
#include "../page_cache.bpf.h"
