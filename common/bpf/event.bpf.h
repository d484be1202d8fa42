/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records to user space: one interface over the ring buffer (5.8+) and, where user space turned
 * cb_events into one, several ring buffers or the perf buffer. Every record that finds no room is
 * counted. */
#pragma once
#include "abi/event.h"
#include "bpf/where.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* --buffer-size sets it */
} cb_events SEC(".maps");

const volatile struct event_config cb_event = { .wakeup_bytes = 64 << 10 };

/* A ring buffer has one lock, taken also to find that there is no room: many CPUs that send to one
 * wait for each other more than they work (design.md section 20). */
static __always_inline void *event_shard(void)
{
	__u32 shard = bpf_get_smp_processor_id() % cb_event.shards;

	return bpf_map_lookup_elem(&cb_events, &shard);
}

static __always_inline long event_output_ring(void *ring, void *record, __u64 size)
{
	__u64 waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	return bpf_ringbuf_output(ring, record, size,
				  waiting >= cb_event.wakeup_bytes ? BPF_RB_FORCE_WAKEUP :
								     BPF_RB_NO_WAKEUP);
}

static __noinline long event_output_shard(void *record, __u64 size)
{
	void *ring = event_shard();

	return ring ? event_output_ring(ring, record, size) : -1;
}

/* Sends a record for which where_holds() has been asked: a tool that asks before the record is complete
 * saves the rest. */
static __always_inline void event_send(void *ctx, void *record, __u64 size)
{
	__u8 way = cb_event.way; /* read once: what is left of the choice is this one instruction */
	long err;

	if (way == EVENT_PERF)
		err = bpf_perf_event_output(ctx, &cb_events, BPF_F_CURRENT_CPU, record, size);
	else if (way == EVENT_SHARDS)
		err = event_output_shard(record, size);
	else
		err = event_output_ring(&cb_events, record, size);
	if (err)
		__sync_fetch_and_add(&account()->lost_ring, 1);
}

/* Sends `size` bytes (bounded by the caller) that may not be on the stack only because they are
 * many: see EVENT_SCRATCH; unless --where rejects them. Waking the reader for each record costs more
 * than all the rest (10.7 us against 3.9 us an open, design.md section 5), so it is woken when much
 * waits; its own timer finds the rest. */
static __always_inline void event_output(void *ctx, void *record, __u64 size)
{
	if (where_holds(ctx, record, size))
		event_send(ctx, record, size);
}

/* Whether event_output() needs its ctx. */
static __always_inline bool event_needs_ctx(void)
{
	return cb_event.way == EVENT_PERF;
}

/* Room for a record of `size` (constant) bytes, to be filled in place and given to
 * bpf_ringbuf_submit() or bpf_ringbuf_discard(), once where_holds() has been asked for its beginning.
 * NULL: there is none, which is not counted, or the kernel has no ring buffers. */
static __always_inline void *event_reserve(__u64 size)
{
	__u8 way = cb_event.way;
	void *ring;

	if (way == EVENT_RING)
		return bpf_ringbuf_reserve(&cb_events, size, 0);
	if (way != EVENT_SHARDS)
		return NULL;
	ring = event_shard();
	return ring ? bpf_ringbuf_reserve(ring, size, 0) : NULL;
}

/* Sends such a record, and wakes the reader when much waits, as event_output() does. */
static __always_inline void event_submit(void *record)
{
	__u64 waiting = 0;
	void *ring;

	if (cb_event.way == EVENT_RING) {
		waiting = bpf_ringbuf_query(&cb_events, BPF_RB_AVAIL_DATA);
	} else {
		ring = event_shard();
		if (ring)
			waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	}
	bpf_ringbuf_submit(record, waiting >= cb_event.wakeup_bytes ? BPF_RB_FORCE_WAKEUP :
								      BPF_RB_NO_WAKEUP);
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
