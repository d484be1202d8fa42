/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The place of a call: where on the machine's stack its return address lies. What begins at or above
 * the place of an older call of the thread shows that the older one is over. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"

/* Within so many bytes two places are taken to be on one stack. An interrupt or a signal handler
 * may run on a stack of its own, of which nothing follows. */
#define CALL_STACK_BYTES 65536

/* On x86 the return address has left the stack when the return is seen. */
#if defined(__TARGET_ARCH_x86)
#define CALL_RETURNED_BYTES 8
#else
#define CALL_RETURNED_BYTES 0
#endif

static __always_inline __u32 call_place(struct pt_regs *regs)
{
	return PT_REGS_SP(regs);
}

static __always_inline __u32 call_return_place(struct pt_regs *regs)
{
	return (__u32)PT_REGS_SP(regs) - CALL_RETURNED_BYTES;
}

/* fentry and fexit have no registers, but one trampoline calls both, with its own part of the
 * stack as their context. */
static __always_inline __u32 call_context_place(void *ctx)
{
	void *volatile context = ctx;
	__u32 place = 0;

	/* The verifier lets no pointer be computed with: read it as memory. */
	bpf_probe_read_kernel(&place, sizeof(place), (const void *)&context);
	return place;
}
