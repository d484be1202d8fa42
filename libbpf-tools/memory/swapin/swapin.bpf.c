// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../pages.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/top.bpf.h"
#include "swapin.h"

TOP(struct swap_key, struct swap_value, 16384)

static __noinline bool holds(__u32 pages, bool out)
{
	struct swap_event e = { .pages = pages, .out = out };

	task_event_current(&e.task, 0);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline int count(struct folio *folio, bool out)
{
	struct swap_key key = {};
	struct swap_value *value;
	__u64 pages;
	bool made;

	if (!filter_current())
		return 0;
	pages = pages_of(folio);
	if (cb_where_on && !holds(pages, out))
		return 0;
	key.pid = current_ids() >> 32;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	value = top_entry(&key, &made);
	if (value)
		__sync_fetch_and_add(out ? &value->out : &value->in, pages);
	return 0;
}

#define SWAP_PROGS(name, function, out)                                                     \
	SEC("fentry/" #function)                                                            \
	int BPF_PROG(name##_fentry, struct folio *folio) { return count(folio, out); }      \
	SEC("kprobe/" #function)                                                            \
	int BPF_KPROBE(name##_kprobe, struct folio *folio) { return count(folio, out); }

SWAP_PROGS(page_in, swap_readpage, false)
SWAP_PROGS(folio_in, swap_read_folio, false) /* its name today */
/* What zswap does not take, and what it writes back itself. */
SWAP_PROGS(page_out, __swap_writepage, true)
