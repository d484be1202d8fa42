/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How long calls take, from entry to return. Starts are kept by thread and kind of call: a call
 * inside another of the same thread (the fsync of an O_SYNC write) has its own. An array, because a
 * hash map's update and delete would cost more than all the rest of a call's two programs. 5.10+.
 *
 * The tool defines CALL_KINDS before it includes this; user space: call_time.hpp. */
#pragma once
#include "bpf/filter.bpf.h"
#include "call_time.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CALL_THREADS * CALL_KINDS);
	__type(key, __u32);
	__type(value, __u64);
} cb_starts SEC(".maps");

/* What a kprobe saw at entry and a kretprobe does not see. */
struct call_object {
	const void *object;
	__s64 offset;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CALL_THREADS * CALL_KINDS);
	__type(key, __u32);
	__type(value, struct call_object);
} cb_objects SEC(".maps");

#define CALL_TIME_MASK ((1ULL << CALL_TIME_BITS) - 1)

static __always_inline __u32 call_place(__u32 tid, __u32 kind)
{
	return (tid & (CALL_THREADS - 1)) * CALL_KINDS + kind;
}

/* At the entry of a call that is wanted. A start that is there already is of a call whose return was
 * not seen: counted for kretprobes, of which there may be too few; where the kernel did not run an
 * fexit program it has counted that itself. */
static __always_inline void call_enter(__u32 kind, bool kprobe)
{
	__u32 tid = bpf_get_current_pid_tgid(), place = call_place(tid, kind);
	__u64 *start = bpf_map_lookup_elem(&cb_starts, &place);

	if (!start)
		return;
	if (*start && (kprobe || *start >> CALL_TIME_BITS != tid >> CALL_THREAD_BITS))
		__sync_fetch_and_add(&account()->lost_return, 1);
	*start = (__u64)(tid >> CALL_THREAD_BITS) << CALL_TIME_BITS |
		 (bpf_ktime_get_ns() & CALL_TIME_MASK);
}

/* At its return: whether its entry was wanted, and then its time. */
static __always_inline bool call_leave(__u32 kind, __u64 *ns)
{
	__u32 tid = bpf_get_current_pid_tgid(), place = call_place(tid, kind);
	__u64 *kept = bpf_map_lookup_elem(&cb_starts, &place), start;

	if (!kept || !*kept)
		return false;
	start = *kept;
	if (start >> CALL_TIME_BITS != tid >> CALL_THREAD_BITS)
		return false;
	*kept = 0;
	*ns = time_between(start & CALL_TIME_MASK, bpf_ktime_get_ns() & CALL_TIME_MASK);
	return true;
}

/* For kprobes, beside call_enter() and call_leave(). */
static __always_inline void call_keep_object(__u32 kind, const void *object, __s64 offset)
{
	__u32 place = call_place(bpf_get_current_pid_tgid(), kind);
	struct call_object *kept = bpf_map_lookup_elem(&cb_objects, &place);

	if (kept) {
		kept->object = object;
		kept->offset = offset;
	}
}

static __always_inline struct call_object call_kept_object(__u32 kind)
{
	__u32 place = call_place(bpf_get_current_pid_tgid(), kind);
	struct call_object *kept = bpf_map_lookup_elem(&cb_objects, &place), none = {};

	return kept ? *kept : none;
}
