/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The memory for the records that generated functions fill. 5.10+. */
#pragma once
#include "body_functions.bpf.h"

/* User space sizes its values. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BODY_SLOTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct body_slot) + BODY_RECORD_BYTES);
} body_slots SEC(".maps");

/* A slot that nobody else on this CPU uses; null, which is counted: there is none. `shared`, a constant:
 * programs at uprobes may be preempted by another task that meets the same probe, and raw tracepoints
 * interrupted, without the kernel preventing it. No instruction that 5.10 lacks: who is alone after
 * having announced itself has the slot. */
static __always_inline void *body_take(bool shared)
{
	for (__u32 i = 0; i < BODY_SLOTS; i++) {
		__u32 at = i;
		struct body_slot *slot = bpf_map_lookup_elem(&body_slots, &at);

		if (!slot)
			break;
		if (!shared)
			return slot + 1;
		__sync_fetch_and_add(&slot->users, 1);
		if (*(volatile __u64 *)&slot->users == 1)
			return slot + 1;
		__sync_fetch_and_add(&slot->users, -1);
	}
	__sync_fetch_and_add(&account()->lost_nested, 1);
	return NULL;
}

static __always_inline void body_leave(void *record, bool shared)
{
	if (shared)
		__sync_fetch_and_add(&((struct body_slot *)record - 1)->users, -1);
}
