/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values by key for an interval, which shape/top.hpp drains and sorts. 5.10+. */
#pragma once
#include "bpf/aggregate.bpf.h"

/* TOP(struct key, struct value, entries): keys begin with `__u32 generation`, filled in here.
 * top_entry() finds or makes the zeroed value of a key and says whether it was made; null where the
 * map is full, which is counted. Values are shared by all CPUs: add to them atomically. */
#define TOP(key_type, value_type, entries)                                      \
	struct {                                                                \
		__uint(type, BPF_MAP_TYPE_HASH);                                \
		__uint(max_entries, entries);                                   \
		__type(key, key_type);                                          \
		__type(value, value_type);                                      \
	} cb_top SEC(".maps");                                                  \
	static const value_type top_zero;                                       \
	static __always_inline value_type *top_entry(key_type *key, bool *made) \
	{                                                                       \
		key->generation = cb_generation;                                \
		return find_or_make(&cb_top, key, &top_zero, made);             \
	}
