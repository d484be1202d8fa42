/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tracepoints of many single system calls (syscalls:sys_enter_*) by one program at the entry of all
 * calls and one at the return: attaching to each takes the kernel some milliseconds, and detaching
 * more (it waits for all CPUs, for each one). */
#pragma once
#include "bpf/functions.bpf.h"
#include "bpf/syscall_abi.bpf.h"

/* By number of the call, returns behind all entries: the number of the point and 1; 0: it is not
 * chosen. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * SYSCALL_POINTS);
	__type(key, __u32);
	__type(value, __u32);
} cb_syscall_points SEC(".maps");

/* Calls of other ABIs than the machine's own hit no such tracepoint (trace_get_syscall_nr()); x32's
 * have numbers beyond. */
static __always_inline bool syscall_point(__u64 nr, __u32 first, __u32 *point)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 at = first + (__u32)nr, *number;

	if (nr >= SYSCALL_POINTS || IS_32BIT(false, task))
		return false;
	number = bpf_map_lookup_elem(&cb_syscall_points, &at);
	if (!number || !*number)
		return false;
	*point = *number - 1;
	return true;
}

#define SYSCALL_POINT_PROGS(called)                                                         \
	SEC("raw_tp/sys_enter")                                                             \
	int syscall_enter(struct bpf_raw_tracepoint_args *ctx)                              \
	{                                                                                   \
		__u32 point;                                                                \
                                                                                            \
		return syscall_point(ctx->args[1], 0, &point) ? called(ctx, point) : 0;     \
	}                                                                                   \
	SEC("raw_tp/sys_exit")                                                              \
	int syscall_exit(struct bpf_raw_tracepoint_args *ctx)                               \
	{                                                                                   \
		struct pt_regs *regs = (struct pt_regs *)ctx->args[0];                      \
		__u64 nr = BPF_CORE_READ(regs, CALL_NR_FIELD);                              \
		__u32 point;                                                                \
                                                                                            \
		return syscall_point(nr, SYSCALL_POINTS, &point) ? called(ctx, point) : 0;  \
	}
