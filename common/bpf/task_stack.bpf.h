/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For programs at functions of programs. */
#pragma once
#include "bpf/core.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cb_never SEC(".maps");

const volatile bool cb_is_never = false;

/* From 6.13 on the stack of such a program is one a CPU, and not the task's (private stacks). That is
 * safe where a program that is under way on a CPU is not run once more. At user probes nothing prevents
 * this: where a program can be preempted (Debian's 7.2), another task then writes into the variables of
 * the first. Of 2000 calls of malloc() by four threads, up to eight had the address of another. A program
 * with a tail call keeps the task's stack; this one is never made, and no instruction of it is left.
 * To be called in each program of uprobes and uretprobes. */
static __always_inline void use_task_stack(void *ctx)
{
	if (cb_is_never)
		bpf_tail_call(ctx, &cb_never, 0);
}
