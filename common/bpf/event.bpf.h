/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records to user space: one interface over the ring buffer (5.8+) and, where user space turned
 * cb_events into one, the perf buffer. Every record that finds no room is counted. */
#pragma once
#include "abi/event.h"
#include "bpf/core.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* --buffer-size sets it */
} cb_events SEC(".maps");

const volatile struct event_config cb_event = { .wakeup_bytes = 64 << 10 };

/* Sends `size` bytes (bounded by the caller) that may not be on the stack only because they are
 * many: see EVENT_SCRATCH. Waking the reader for each record costs more than all the rest
 * (10.7 us against 3.9 us an open, design.md section 5), so it is woken when much waits; its own
 * timer finds the rest. */
static __always_inline void event_output(void *ctx, void *record, __u64 size)
{
	long err;

	if (cb_event.perf) {
		err = bpf_perf_event_output(ctx, &cb_events, BPF_F_CURRENT_CPU, record, size);
	} else {
		__u64 waiting = bpf_ringbuf_query(&cb_events, BPF_RB_AVAIL_DATA);

		err = bpf_ringbuf_output(&cb_events, record, size,
					 waiting >= cb_event.wakeup_bytes ? BPF_RB_FORCE_WAKEUP :
									    BPF_RB_NO_WAKEUP);
	}
	if (err)
		__sync_fetch_and_add(&account()->lost_ring, 1);
}

/* One buffer a CPU for records beyond the 512-byte stack. A program never nests in itself on one
 * CPU (the kernel counts and refuses that), but two different programs can: a tool whose programs
 * may interrupt each other gives each its own slot. */
#define EVENT_SCRATCH(record_type, slots)                    \
	struct {                                             \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);     \
		__uint(max_entries, slots);                  \
		__type(key, __u32);                          \
		__type(value, record_type);                  \
	} cb_scratch SEC(".maps");                           \
	static __always_inline record_type *event_scratch(__u32 slot) \
	{                                                    \
		return bpf_map_lookup_elem(&cb_scratch, &slot); \
	}
