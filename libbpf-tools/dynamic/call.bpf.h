/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Calls of functions from entry to return, whatever calls whatever. Each thread has a stack of its
 * calls under way. A call is known by its place: where on the machine's stack its return address
 * lies. So a return finds its entry in a recursion, in functions that call one another, and where
 * calls before it never returned (longjmp, exceptions, a return that the kernel did not tell of):
 * a new call at or above the place of an older one shows that the older one is over. 5.10+. */
#pragma once
#include "bpf/call_place.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/functions.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "call.h"

const volatile struct call_config cb_call = {};

/* User space sizes it by the number of threads. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct call_thread);
} cb_threads SEC(".maps");

static const struct call_thread call_no_calls = {};

/* Set before programs are detached, which takes its time: a call that begins then might return
 * unseen. */
bool cb_call_ending = false;

/* A tool that keeps what entries see defines the type of it before it includes this: a struct with
 * an array `entries` of CALL_DEPTH. */
#ifdef CALL_ENTRIES
HASH_MAP(cb_entries, __u32, CALL_ENTRIES, 1);
#endif

/* 4346ba160409 (v6.14) moved fprobes, and with them kprobe.multi, from rethook to the function
 * graph tracer. On x86 that left the stack pointer out of the registers at first; but they lie
 * where the stack ended then, and are the program's context. */
struct fprobe___v6_14 {
	void *hlist_array;
} __attribute__((preserve_access_index));

static __always_inline __u32 call_multi_return_place(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	struct fprobe___v6_14 *fprobe = NULL;

	if (bpf_core_field_exists(fprobe->hlist_array)) {
		__u32 end = call_context_place(regs) + sizeof(*regs);

		/* 8 bytes more since it is saved. */
		return (__u32)PT_REGS_SP(regs) == end + 8 ? end : end - CALL_RETURNED_BYTES;
	}
#endif
	return call_return_place(regs);
}

/* The idle tasks of all CPUs have the number 0. */
static __always_inline __u32 call_thread_id(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	return tid ?: -1U - bpf_get_smp_processor_id();
}

static __always_inline void call_missed(__u32 n)
{
	__sync_fetch_and_add(&account()->lost_return, n);
}

/* Whether `older` is over when `function` begins at `place`. A function that ends with a jump to
 * another one shares its place with that, and returns with it. */
static __always_inline bool call_over(const struct call_frame *older, __u32 place, __u32 function)
{
	__u32 above = place - older->place;

	return above ? above < CALL_STACK_BYTES : older->function == function;
}

/* Forgets calls of this thread that are over when one begins at `place`; how many are left. A global
 * function, so that the verifier goes through its loop once; as the next one. */
__noinline int call_forget(__u32 place, __u32 function)
{
	__u32 tid = call_thread_id(), used, n;
	struct call_thread *thread = bpf_map_lookup_elem(&cb_threads, &tid);

	if (!thread)
		return 0;
	used = n = thread->used;
	for (int i = 0; i < CALL_DEPTH; i++) {
		if (!n || !call_over(&thread->frames[(n - 1) % CALL_DEPTH], place, function))
			break;
		n--;
	}
	call_missed(used - n);
	thread->used = n;
	return n;
}

/* Which call of this thread returned, from 1, where it is not the last; 0: none that was followed. */
__noinline int call_find(__u32 place)
{
	__u32 tid = call_thread_id(), used, n;
	struct call_thread *thread = bpf_map_lookup_elem(&cb_threads, &tid);

	if (!thread)
		return 0;
	used = n = thread->used;
	for (int i = 0; i < CALL_DEPTH; i++) {
		if (!n)
			break;
		if (thread->frames[(n - 1) % CALL_DEPTH].place == place) {
			call_missed(used - n);
			return n;
		}
		n--;
	}
	return 0;
}

/* A call begins; its number in the thread, from 0, or -1: it is not followed, and that is counted. */
static __always_inline int call_begin(__u32 place, __u32 function)
{
	__u32 tid = call_thread_id(), n;
	struct call_thread *thread;
	struct call_frame *frame;

	if (cb_call_ending)
		return -1;
	if (function >= cb_functions.count) { /* no name for it */
		count_lost_map();
		return -1;
	}
	thread = find_or_insert(&cb_threads, &tid, &call_no_calls);
	if (!thread)
		return -1;
	n = thread->used;
	if (n && call_over(&thread->frames[(n - 1) % CALL_DEPTH], place, function))
		n = call_forget(place, function);
	if (cb_call.level && n >= cb_call.level) {
		count_filtered();
		return -1;
	}
	if (n >= CALL_DEPTH) {
		count_lost_map();
		return -1;
	}
	frame = &thread->frames[n];
	frame->place = place;
	frame->function = function;
	frame->start_ns = bpf_ktime_get_ns();
	thread->used = n + 1;
	return n;
}

/* Takes back what call_begin() said of a call that cannot be followed after all. */
static __always_inline void call_undo(__u32 number)
{
	__u32 tid = call_thread_id();
	struct call_thread *thread = bpf_map_lookup_elem(&cb_threads, &tid);

	if (thread)
		thread->used = number;
}

/* A call returns: false if it was not followed, otherwise what it was, and its number. */
static __always_inline bool call_end(__u32 place, struct call_frame *call, __u32 *number)
{
	__u32 tid = call_thread_id(), n;
	struct call_thread *thread = bpf_map_lookup_elem(&cb_threads, &tid);

	if (!thread)
		return false;
	n = thread->used;
	if (!n)
		return false;
	if (thread->frames[(n - 1) % CALL_DEPTH].place != place) {
		n = call_find(place);
		if (!n)
			return false;
	}
	n--;
	*call = thread->frames[n % CALL_DEPTH];
	thread->used = n;
	*number = n;
	return true;
}

/* What a thread that ends leaves: calls that never returned, and its place in the map. */
SEC("raw_tp/sched_process_free")
int call_thread_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tid = BPF_CORE_READ(task, pid);
	struct call_thread *thread = bpf_map_lookup_elem(&cb_threads, &tid);

	if (thread) {
		if (thread->used && !cb_call_ending)
			call_missed(thread->used);
		bpf_map_delete_elem(&cb_threads, &tid);
	}
#ifdef CALL_ENTRIES
	bpf_map_delete_elem(&cb_entries, &tid);
#endif
	return 0;
}

/* CALL_PROGS(begin, end): the programs that call
 *   int begin(void *ctx, __u32 place, __u32 function, bool registers)
 *   int end(void *ctx, __u32 place, bool registers)
 * `registers`: ctx is a struct pt_regs; otherwise they are of fentry and fexit. */
#define CALL_PROGS(begin, end)                                                        \
	SEC("fentry/%function")                                                       \
	int enter_fentry(void *ctx)                                                   \
	{                                                                             \
		return begin(ctx, call_context_place(ctx), 0, false);                 \
	}                                                                             \
	SEC("fexit/%function")                                                        \
	int leave_fexit(void *ctx)                                                    \
	{                                                                             \
		return end(ctx, call_context_place(ctx), false);                      \
	}                                                                             \
	SEC("kprobe.multi")                                                           \
	int enter_multi(struct pt_regs *ctx)                                          \
	{                                                                             \
		return begin(ctx, call_place(ctx), multi_function(ctx), true);        \
	}                                                                             \
	SEC("kretprobe.multi")                                                        \
	int leave_multi(struct pt_regs *ctx)                                          \
	{                                                                             \
		return end(ctx, call_multi_return_place(ctx), true);                   \
	}                                                                             \
	SEC("kprobe")                                                                 \
	int enter_kprobe(struct pt_regs *ctx)                                         \
	{                                                                             \
		return begin(ctx, call_place(ctx), kprobe_function(ctx), true);       \
	}                                                                             \
	SEC("kretprobe")                                                              \
	int leave_kprobe(struct pt_regs *ctx)                                         \
	{                                                                             \
		return end(ctx, call_return_place(ctx), true);                         \
	}                                                                             \
	SEC("uprobe")                                                                 \
	int enter_umulti(struct pt_regs *ctx)                                         \
	{                                                                             \
		use_task_stack(ctx);                                                  \
		return begin(ctx, call_place(ctx),                                    \
			     cb_call.first_user + multi_function(ctx), true);         \
	}                                                                             \
	SEC("uretprobe")                                                              \
	int leave_umulti(struct pt_regs *ctx)                                         \
	{                                                                             \
		use_task_stack(ctx);                                                  \
		return end(ctx, call_return_place(ctx), true);                         \
	}                                                                             \
	SEC("uprobe")                                                                 \
	int enter_uprobe(struct pt_regs *ctx)                                         \
	{                                                                             \
		use_task_stack(ctx);                                                  \
		return begin(ctx, call_place(ctx),                                    \
			     cb_call.first_user + uprobe_function(ctx), true);        \
	}                                                                             \
	SEC("uretprobe")                                                              \
	int leave_uprobe(struct pt_regs *ctx)                                         \
	{                                                                             \
		use_task_stack(ctx);                                                  \
		return end(ctx, call_return_place(ctx), true);                         \
	}
