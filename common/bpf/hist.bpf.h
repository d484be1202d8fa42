/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Histograms, one a CPU: no contention, and an exact sum, minimum and maximum. A tool has either or
 * both: HIST() is one histogram, HISTS() one for each key. shape/histogram.hpp reads them. 5.10+. */
#pragma once
#include "abi/hist.h"
#include "bpf/aggregate.bpf.h"

#ifndef __maybe_unused
#define __maybe_unused __attribute__((unused))
#endif

/* The number of the highest bit, by the six bits that a de Bruijn sequence has from there on. */
#define HIGHEST_BIT_SEQUENCE 0x03f79d71b4cb0a89ull
static const __u8 highest_bits[64] = {
	0, 1, 48, 2, 57, 49, 28, 3, 61, 58, 50, 42, 38, 29, 17, 4,
	62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
	63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11,
	46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9, 13, 8, 7, 6,
};

/* Of n that is not 0. Without a branch: the verifier follows each way that leads to another number to
 * the end of the program, 64 ways with a search by halves (biostacks took 1.3 s to load). */
static __always_inline __u32 highest_bit(__u64 n)
{
	n |= n >> 1;
	n |= n >> 2;
	n |= n >> 4;
	n |= n >> 8;
	n |= n >> 16;
	n |= n >> 32;
	return highest_bits[(n ^ n >> 1) * HIGHEST_BIT_SEQUENCE >> 58];
}

/* The slot of n where each power of two has 1 << bits slots (abi/hist.h). */
static __always_inline __u32 log_linear_slot(__u64 n, __u32 bits)
{
	__u32 shift = highest_bit(n | 1ull << bits) - bits;

	return (shift << bits) + (__u32)(n >> shift);
}

/* The slot of v, a raw value, in a histogram of `unit`. */
static __always_inline __maybe_unused __u32 log2_slot(__u64 v, __u64 unit)
{
	if (unit == 1)
		return log_linear_slot(v, HIST_BITS);
	/* Whole units are fine enough for what would not fit. */
	v = v >> (64 - HIST_SCALE_BITS) ? v / unit * HIST_SCALE : v * HIST_SCALE / unit;
	return log_linear_slot(v, HIST_BITS);
}

static __always_inline __maybe_unused __u32 linear_slot(__u64 v, __u64 step)
{
	__u64 slot = v * HIST_ROW / step;

	if (slot > HIST_SLOTS - HIST_ROW)
		slot = HIST_SLOTS - HIST_ROW;
	/* Or the compiler leaves out the mask, and the verifier loses the bound in a 32-bit division. */
	asm volatile("" : "+r"(slot));
	return slot;
}

static __always_inline void hist_note(struct hist_totals *t, __u64 v)
{
	/* Atomic although the value is this CPU's own: an interrupt may come between. */
	__sync_fetch_and_add(&t->sum, v);
	if (v > t->max)
		t->max = v;
	if (~v > t->min_inv)
		t->min_inv = ~v;
}

static __always_inline void hist_add(struct hist *h, __u32 slot, __u64 v)
{
	__sync_fetch_and_add(&h->slots[slot & (HIST_SLOTS - 1)], 1);
	hist_note(&h->totals, v);
}

static __always_inline __maybe_unused void hist_part_add(struct hist_part *p, __u32 slot, __u64 v)
{
	__sync_fetch_and_add(&p->slots[slot & (HIST_ROW - 1)], 1);
	hist_note(&p->totals, v);
}

/* What a key of HISTS() begins with, for the part that has this slot. */
static __always_inline __maybe_unused __u32 hist_part_key(__u32 slot)
{
	return cb_generation | slot >> HIST_BITS << HIST_PART_SHIFT;
}

static const struct hist_part hist_part_zero;

/* The one histogram; its two elements are the generations. */
#define HIST()                                                     \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);           \
		__uint(max_entries, 2);                            \
		__type(key, __u32);                                \
		__type(value, struct hist);                        \
	} cb_hist SEC(".maps");                                    \
	/* Counts the raw value `v` in `slot`. */                  \
	static __always_inline __maybe_unused void hist_count_in(__u32 slot, __u64 v) \
	{                                                          \
		__u32 generation = cb_generation;                  \
		struct hist *h = bpf_map_lookup_elem(&cb_hist, &generation); \
                                                                   \
		if (h)                                             \
			hist_add(h, slot, v);                      \
	}                                                          \
	static __always_inline __maybe_unused void hist_count(__u64 v, __u64 unit) \
	{                                                          \
		hist_count_in(log2_slot(v, unit), v);              \
	}

/* A histogram for each key, a struct that begins with `__u32 generation`, which is filled in here.
 * `entries` are parts; a full map is counted as lost. */
#define HISTS(key_type, entries)                                   \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_HASH);            \
		__uint(max_entries, entries);                      \
		__uint(map_flags, BPF_F_NO_PREALLOC);              \
		__type(key, key_type);                             \
		__type(value, struct hist_part);                   \
	} cb_hists SEC(".maps");                                   \
	HISTS_COUNT(key_type)

/* The same for programs that must not allocate. Many keys of which each is used on few CPUs: the key
 * has the number of the CPU, so that it is used on one, and user space adds up what looks the same. */
#define HISTS_BY_CPU(key_type, entries)                            \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                   \
		__uint(max_entries, entries);                      \
		__type(key, key_type);                             \
		__type(value, struct hist_part);                   \
	} cb_hists SEC(".maps");                                   \
	HISTS_COUNT(key_type)

#define HISTS_COUNT(key_type)                                      \
	static __always_inline __maybe_unused void hists_count_in(key_type *key, __u32 slot, __u64 v) \
	{                                                          \
		struct hist_part *p;                               \
                                                                   \
		key->generation = hist_part_key(slot);             \
		p = find_or_insert(&cb_hists, key, &hist_part_zero); \
		if (p)                                             \
			hist_part_add(p, slot, v);                 \
	}                                                          \
	static __always_inline __maybe_unused void hists_count(key_type *key, __u64 v, __u64 unit) \
	{                                                          \
		hists_count_in(key, log2_slot(v, unit), v);        \
	}
