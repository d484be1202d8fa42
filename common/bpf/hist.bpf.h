/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Histograms, one a CPU: no contention, and an exact sum, minimum and maximum. A tool has either or
 * both: HIST() is one histogram, HISTS() one for each key. shape/histogram.hpp reads them. 5.10+. */
#pragma once
#include "abi/hist.h"
#include "bpf/aggregate.bpf.h"

#ifndef __maybe_unused
#define __maybe_unused __attribute__((unused))
#endif

/* The one histogram; its two elements are the generations. */
#define HIST()                                                     \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);           \
		__uint(max_entries, 2);                            \
		__type(key, __u32);                                \
		__type(value, struct hist);                        \
	} cb_hist SEC(".maps");                                    \
	static __always_inline __maybe_unused struct hist *hist_entry(void) \
	{                                                          \
		__u32 generation = cb_generation;                  \
                                                                   \
		return bpf_map_lookup_elem(&cb_hist, &generation); \
	}                                                          \
	static __always_inline __maybe_unused void hist_count(__u64 v, __u64 unit) \
	{                                                          \
		struct hist *h = hist_entry();                     \
                                                                   \
		if (h)                                             \
			hist_add(h, v, unit);                      \
	}

/* A histogram for each key, a struct that begins with `__u32 generation`, which is filled in here.
 * A key is made on first use; a full map is counted as lost. */
#define HISTS(key_type, entries)                                   \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_HASH);            \
		__uint(max_entries, entries);                      \
		__uint(map_flags, BPF_F_NO_PREALLOC);              \
		__type(key, key_type);                             \
		__type(value, struct hist);                        \
	} cb_hists SEC(".maps");                                   \
	HISTS_COUNT(key_type)

/* The same for programs that must not allocate. Many keys of which each is used on few CPUs: the key
 * has the number of the CPU, so that it is used on one, and user space adds up what looks the same. */
#define HISTS_BY_CPU(key_type, entries)                            \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                   \
		__uint(max_entries, entries);                      \
		__type(key, key_type);                             \
		__type(value, struct hist);                        \
	} cb_hists SEC(".maps");                                   \
	HISTS_COUNT(key_type)

#define HISTS_COUNT(key_type)                                      \
	static __always_inline __maybe_unused struct hist *hists_entry(key_type *key) \
	{                                                          \
		struct hist *h;                                    \
                                                                   \
		key->generation = cb_generation;                   \
		h = bpf_map_lookup_elem(&cb_hists, key);           \
		if (!h) {                                          \
			bpf_map_update_elem(&cb_hists, key, &hist_zero, BPF_NOEXIST); \
			h = bpf_map_lookup_elem(&cb_hists, key);   \
		}                                                  \
		if (!h)                                            \
			count_lost_map();                          \
		return h;                                          \
	}                                                          \
	static __always_inline __maybe_unused void hists_count(key_type *key, __u64 v, __u64 unit) \
	{                                                          \
		struct hist *h = hists_entry(key);                 \
                                                                   \
		if (h)                                             \
			hist_add(h, v, unit);                      \
	}

static const struct hist hist_zero;

/* floor(log2(v)), 0 for 0. */
static __always_inline __u32 log2_slot(__u64 v)
{
	__u32 slot = 0;

#define HALVE(bits)               \
	if (v >> (bits)) {        \
		v >>= (bits);     \
		slot += (bits);   \
	}
	HALVE(32)
	HALVE(16)
	HALVE(8)
	HALVE(4)
	HALVE(2)
#undef HALVE
	return slot + (v >> 1);
}

/* A tool with other slots than powers of two defines it before it includes this. */
#ifndef HIST_SLOT
#define HIST_SLOT(v, unit) log2_slot((v) / (unit))
#endif

/* Counts the raw value `v` in a slot. */
static __always_inline void hist_add_to(struct hist *h, __u32 slot, __u64 v)
{
	/* Atomic although the value is this CPU's own: an interrupt may come between. */
	__sync_fetch_and_add(&h->slots[slot & (HIST_SLOTS - 1)], 1);
	__sync_fetch_and_add(&h->sum, v);
	if (v > h->max)
		h->max = v;
	if (~v > h->min_inv)
		h->min_inv = ~v;
}

/* Counts the raw value `v` in the slot of v / unit. */
static __always_inline void hist_add(struct hist *h, __u64 v, __u64 unit)
{
	hist_add_to(h, HIST_SLOT(v, unit), v);
}

/* The same where slot n is for [n * step, (n + 1) * step), and the last one for all above too. */
static __always_inline __maybe_unused void hist_add_linear(struct hist *h, __u64 v, __u64 step)
{
	__u64 slot = v / step;

	if (slot > HIST_SLOTS - 1)
		slot = HIST_SLOTS - 1;
	/* Or the compiler leaves out the mask, and the verifier loses the bound in a 32-bit division. */
	asm volatile("" : "+r"(slot));
	hist_add_to(h, slot, v);
}
