/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sums by stack: a map of stacks, and sums under the stacks' ids. Works in every program type,
 * perf events on 5.10 (preallocated maps only) included. 5.10+. */
#pragma once
#include "abi/stacks.h"
#include "bpf/aggregate.bpf.h"

const volatile struct stacks_config cb_stack = { .kernel = true, .user = true };

/* A stack lies at a place given by its hash, and only one stack can: with n stacks in m places
 * some n * n / 2m find theirs taken. Those go into a second, smaller map: of 2000 stacks in 16384
 * places 118 would be lost otherwise, so it is some 2. User space sizes both. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, STACK_DEPTH * sizeof(__u64));
	__uint(max_entries, STACK_STORAGE);
} cb_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, STACK_DEPTH * sizeof(__u64));
	__uint(max_entries, STACK_STORAGE / STACK_SPILL_SHARE);
} cb_stacks_spill SEC(".maps");

/* One value for all CPUs: at the rates of stacks an atomic addition costs nothing, and a map with
 * a value for each CPU takes 40960 allocations to start. */
#ifndef STACK_KEY
#define STACK_KEY struct stack_key /* a tool's own begins with one */
#endif
HASH_MAP(cb_stack_sums, STACK_KEY, struct stack_value, STACK_HASH_STORAGE);

/* Processes with a new user stack: user space notes their mappings, for they may end before the
 * report. Where it is full a name is missed, not a sample. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} cb_stack_tasks SEC(".maps");

struct stack_task cb_stack_told[ACCOUNT_CPUS]; /* the last of them by CPU */


static __always_inline __s32 stack_id(void *ctx, __u64 flags)
{
	long id = bpf_get_stackid(ctx, &cb_stacks, flags);

	if (id != -EEXIST)
		return id;
	id = bpf_get_stackid(ctx, &cb_stacks_spill, flags);
	return id < 0 ? id : id | STACK_SPILLED;
}

/* The running task's stacks, as far as they are wanted. A tracing program's own frames are among
 * those of the kernel: user space removes them. */
static __always_inline void take_stacks(void *ctx, struct stack_key *key)
{
	key->kernel = cb_stack.kernel ? stack_id(ctx, 0) : STACK_NONE;
	key->user = cb_stack.user ? stack_id(ctx, BPF_F_USER_STACK) : STACK_NONE;
	key->image = 0;
	if (key->user >= 0) {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		key->image = STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
	}
}

static __always_inline bool stack_lost(__s32 id)
{
	return id < 0 && id != STACK_NONE;
}

static __always_inline void tell_task(__u32 pid, __u32 image)
{
	struct stack_task *told = &cb_stack_told[bpf_get_smp_processor_id() & (ACCOUNT_CPUS - 1)];
	struct stack_task now = { .pid = pid, .image = image };
	__u64 flags = BPF_RB_FORCE_WAKEUP;

	if (told->pid == now.pid && told->image == now.image)
		flags = BPF_RB_NO_WAKEUP; /* there is time */
	*told = now;
	bpf_ringbuf_output(&cb_stack_tasks, &now, sizeof(now), flags);
}

enum stack_added { STACK_ADDED, STACK_ADDED_NEW, STACK_NOT_ADDED };

/* Adds one event, worth `total`, to the sums of *key, whose generation is set. */
static __always_inline enum stack_added stack_sum(const void *key, __u64 total)
{
	struct stack_value first = { .events = 1, .total = total }, *sum;

	sum = bpf_map_lookup_elem(&cb_stack_sums, key);
	if (!sum) {
		if (!bpf_map_update_elem(&cb_stack_sums, key, &first, BPF_NOEXIST))
			return STACK_ADDED_NEW;
		/* Full, or another CPU was faster. */
		sum = bpf_map_lookup_elem(&cb_stack_sums, key);
		if (!sum) {
			count_lost_map();
			return STACK_NOT_ADDED;
		}
	}
	__sync_fetch_and_add(&sum->events, 1);
	if (total)
		__sync_fetch_and_add(&sum->total, total);
	return STACK_ADDED;
}

/* An event is counted under what there is of its stacks, but those are lost; once, if several are. */
static __always_inline void count_lost_stack(void)
{
	__sync_fetch_and_add(&account()->lost_stack, 1);
}

/* Adds one event, worth `total`, to the sums of *key, whose generation is set here. */
static __always_inline void stack_add(struct stack_key *key, __u64 total)
{
	enum stack_added added;

	key->generation = cb_generation;
	added = stack_sum(key, total);
	if (added == STACK_NOT_ADDED)
		return;
	if (added == STACK_ADDED_NEW && key->user >= 0)
		tell_task(key->pid, key->image);
	if (stack_lost(key->kernel) || stack_lost(key->user))
		count_lost_stack();
}
