/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many pages a folio has, or where functions still take one, a page. 5.10+. */
#pragma once
#include "../file/page_cache.bpf.h"

/* Before there were folios the second page of a huge one says how many there are. */
struct page___v5_10 {
	unsigned int compound_nr;
} __attribute__((preserve_access_index));

/* Up to 6.1 the functions have pages, which are folios by then; it is the first page always. */
static __always_inline __u64 pages_of(struct folio *folio)
{
	unsigned long flags = 0;

	if (bpf_core_type_exists(struct folio))
		return folio_pages(folio, false);
	bpf_probe_read_kernel(&flags, sizeof(flags), folio);
	if (!(flags & 1UL << bpf_core_enum_value(enum pageflags, PG_head)))
		return 1;
	return BPF_CORE_READ((struct page___v5_10 *)((void *)folio + bpf_core_type_size(struct page)),
			     compound_nr);
}
