/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is kept for each thread in a table, by thread id modulo the number of slots: an array's lookup
 * is six instructions, and these are at every switch. User space makes the table as large as pid_max
 * asks for, within reason (threads.hpp); where the kernel gives out higher numbers, threads share
 * slots. A slot then is of the thread that took it first, until that dies; what is to be kept for the
 * others meanwhile goes into a hash map. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"
#include "threads.h"

const volatile struct thread_slots cb_slots = {};

/* By thread id. Allocated beforehand: see by_task.bpf.h. */
HASH_MAP(cb_slotless, __u32, __u64, 1);
/* Slots that are being taken. Without it two CPUs could take one at once, and the one's thread be
 * forgotten: atomic instructions that would tell came with 5.12 only. */
HASH_MAP(cb_claims, __u32, __u32, 1);

static __always_inline __u32 slot_number(__u32 tid)
{
	return tid & cb_slots.mask;
}

/* Between the two nobody else takes the slot. */
static __always_inline bool claim_slot(__u32 slot)
{
	int err;

	if (!cb_slots.shared)
		return true;
	err = bpf_map_update_elem(&cb_claims, &slot, &slot, BPF_NOEXIST);
	return !err;
}

static __always_inline void slot_claimed(__u32 slot)
{
	if (cb_slots.shared)
		bpf_map_delete_elem(&cb_claims, &slot);
}

/* For a thread without a slot. 0 is nothing. */
static __always_inline __u64 *slotless(__u32 tid)
{
	return bpf_map_lookup_elem(&cb_slotless, &tid);
}

static __always_inline void keep_slotless(__u32 tid, __u64 value)
{
	int err = bpf_map_update_elem(&cb_slotless, &tid, &value, BPF_ANY);

	if (err)
		count_lost_map();
}

static __noinline __u64 take_slotless(__u32 tid)
{
	__u64 *value = slotless(tid), taken;

	if (!value)
		return 0;
	taken = *value;
	bpf_map_delete_elem(&cb_slotless, &tid);
	return taken;
}
