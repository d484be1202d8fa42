/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One program for many functions or tracepoints, which is told the number of the one that it runs
 * at; counters by that number. 5.10+. */
#pragma once
#include "abi/functions.h"
#include "bpf/point_number.bpf.h"
#include "bpf/task_stack.bpf.h"

const volatile struct functions_config cb_functions = {};

/* Numbers by address, for kprobes without cookies (before 5.15). */
HASH_MAP(cb_function_ids, __u64, __u32, 1);

/* Calls by CPU and function; they only grow. User space reads them without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cb_calls SEC(".maps");

static __always_inline void calls_add(__u32 function)
{
	__u32 at = function;
	__u64 *calls;

	if (function >= cb_functions.count) {
		count_lost_map();
		return;
	}
	if (cb_functions.cpus > 1)
		at += bpf_get_smp_processor_id() * cb_functions.count;
	calls = bpf_map_lookup_elem(&cb_calls, &at);
	if (calls)
		__sync_fetch_and_add(calls, 1);
	else
		count_lost_map();
}

/* Where the instruction pointer is when a kprobe's program runs: behind the breakpoint on x86, also
 * where the kprobe is none (ftrace, optimised). */
#if defined(__TARGET_ARCH_x86)
#define KPROBE_IP_OFFSET 1
#else
#define KPROBE_IP_OFFSET 0
#endif

static __always_inline __u32 kprobe_function(struct pt_regs *ctx)
{
	__u64 address = PT_REGS_IP(ctx) - KPROBE_IP_OFFSET;
	__u32 *number;

	if (has_cookies())
		return bpf_get_attach_cookie(ctx) - 1;
	if (cb_functions.count == 1)
		return 0;
	number = bpf_map_lookup_elem(&cb_function_ids, &address);
	return number ? *number : cb_functions.count;
}

/* FUNCTION_PROGS(called): the programs that call `int called(void *ctx, __u32 function)`. */
#define FUNCTION_PROGS(called)                                             \
	SEC("kprobe.multi")                                                \
	int function_multi(struct pt_regs *ctx)                            \
	{                                                                  \
		return called(ctx, multi_function(ctx));                   \
	}                                                                  \
	SEC("kprobe")                                                      \
	int function_kprobe(struct pt_regs *ctx)                           \
	{                                                                  \
		return called(ctx, kprobe_function(ctx));                  \
	}                                                                  \
	/* A pattern for copies; it has to be loaded for some function. */ \
	SEC("fentry/vfs_read")                                             \
	int function_fentry(void *ctx)                                     \
	{                                                                  \
		return called(ctx, copy_function());                       \
	}

/* The same for all kinds of points; `user(ctx, function)` for those in user space. */
#define POINT_PROGS(called, user)                                          \
	FUNCTION_PROGS(called)                                             \
	SEC("uprobe")                                                      \
	int user_multi(struct pt_regs *ctx)                                \
	{                                                                  \
		use_task_stack(ctx);                                       \
		return user(ctx, multi_function(ctx));                     \
	}                                                                  \
	SEC("uprobe")                                                      \
	int user_uprobe(struct pt_regs *ctx)                               \
	{                                                                  \
		use_task_stack(ctx);                                       \
		return user(ctx, uprobe_function(ctx));                    \
	}                                                                  \
	SEC("raw_tp")                                                      \
	int event_raw(void *ctx)                                           \
	{                                                                  \
		return called(ctx, copy_function());                       \
	}                                                                  \
	SEC("tp")                                                          \
	int event_perf(void *ctx)                                          \
	{                                                                  \
		return called(ctx, copy_function());                       \
	}
