/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --where: a condition on an event, decided before anything is sent or counted. Events that are sent
 * are decided by event_output(). A tool that counts events gives the condition a small record of what
 * it knows of each:
 *
 *	static __noinline bool wanted(...)
 *	{
 *		struct X_event e = { ... };
 *
 *		return where_holds(ctx, &e, sizeof(e));
 *	}
 *	...
 *	if (cb_where_on && !wanted(...))
 *		return 0;
 *
 * and says in X.cpp what the fields of that record are called. Without --where the verifier drops all
 * of it but the load of the constant. */
#pragma once
#include "bpf/core.bpf.h"

const volatile bool cb_where_on = false;

/* User space puts another body in its place before libbpf reads the object (expr/splice.hpp says why
 * it is weak, hidden and no inline function). 1: the condition holds, or only user space can tell. */
__weak __hidden __noinline int cb_where(void *ctx, void *record, __u64 size)
{
	asm volatile("" ::"r"(ctx), "r"(record), "r"(size));
	return 1;
}

/* Counts what it rejects as filtered. `record` is aligned to 8 bytes and whole: no byte of it is
 * undefined, but for text behind the end of what the record says there is. */
static __always_inline bool where_holds(void *ctx, void *record, __u64 size)
{
	if (!cb_where_on)
		return true;
	/* Before 41f6f64e6999 (v6.8) the verifier may take a branch on what a function reads from its caller's
	 * stack for one that is never taken, if the value is a constant in one way to there and another in a
	 * second. Of what a helper has written it knows no constants: here, the record over itself. */
	if (__builtin_constant_p(size) && size <= 512)
		bpf_probe_read_kernel(record, size, record);
	if (cb_where(ctx, record, size))
		return true;
	count_filtered();
	return false;
}
