/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Places of a table for tasks, by a hash of the task's address: that stays the same when a thread takes
 * over the leader's id in an exec, and to find a place takes a sixth of the instructions that a hash map
 * takes. A task whose place another has goes elsewhere, into a map. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"

/* Places that are being taken: of two CPUs that want one at once, one gets it. Atomic instructions that
 * would tell came with 5.12 only. */
HASH_MAP(cb_place_claims, __u32, __u32, 64);

static __always_inline __u32 place_of_task(__u64 task, __u32 bits)
{
	__u32 place;

	/* To the verifier it is a pointer still, of which it allows to take the lower half only. */
	asm("r1 = %1; %0 = w1" : "=w"(place) : "r"(task) : "r1");
	return place * 0x9e3779b1 >> (32 - bits); /* Fibonacci hashing */
}

/* Whether the place, whose `owner` is a task's address or 0, is this task's from now on. */
static __always_inline bool take_place(__u64 *owner, __u32 place, __u64 task)
{
	bool is_free;

	if (*(volatile __u64 *)owner ||
	    bpf_map_update_elem(&cb_place_claims, &place, &place, BPF_NOEXIST))
		return false;
	is_free = !*(volatile __u64 *)owner;
	if (is_free)
		*owner = task;
	bpf_map_delete_elem(&cb_place_claims, &place);
	return is_free;
}
