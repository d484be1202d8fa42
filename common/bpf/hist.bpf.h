/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Histograms keyed by a struct, one a CPU: no contention, and an exact sum and maximum. 5.10+. */
#pragma once
#include "abi/hist.h"
#include "bpf/aggregate.bpf.h"

#define HIST_MAP(name, key_type, entries)                \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_PERCPU_HASH);  \
		__uint(max_entries, entries);            \
		__uint(map_flags, BPF_F_NO_PREALLOC);    \
		__type(key, key_type);                   \
		__type(value, struct hist);              \
	} name SEC(".maps")

static const struct hist hist_zero;

/* floor(log2(v)), 0 for 0; branch-free, since a histogram's inputs are unpredictable. */
static __always_inline __u32 log2_slot(__u64 v)
{
	__u32 slot, shift;

	slot = (v > 0xffffffff) << 5;
	v >>= slot;
	shift = (v > 0xffff) << 4;
	v >>= shift;
	slot |= shift;
	shift = (v > 0xff) << 3;
	v >>= shift;
	slot |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	slot |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	slot |= shift;
	return slot | v >> 1;
}

/* Counts `v` under *key, which is created on first use; a full map is counted as lost. */
static __always_inline void hist_add(void *map, const void *key, __u64 v)
{
	struct hist *h = bpf_map_lookup_elem(map, key);

	if (!h) {
		bpf_map_update_elem(map, key, &hist_zero, BPF_NOEXIST);
		h = bpf_map_lookup_elem(map, key);
		if (!h) {
			count_lost_map();
			return;
		}
	}
	/* Atomic although the value is this CPU's own: an interrupt may come between. */
	__sync_fetch_and_add(&h->slots[log2_slot(v) & (HIST_SLOTS - 1)], 1);
	__sync_fetch_and_add(&h->sum, v);
	if (v > h->max)
		h->max = v;
	if (~v > h->min_inv)
		h->min_inv = ~v;
}
