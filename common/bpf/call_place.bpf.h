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

/* Whether the user function that was entered with this stack pointer has not returned. A longjmp()
 * leaves calls without their return. While a return is awaited, the kernel has the address of its
 * trampoline in the return address's place: where a page begins, as no code behind a call does. Only in
 * programs of functions whose returns are probed, too. */
static __always_inline bool is_under_way(__u64 sp)
{
#if defined(__TARGET_ARCH_x86)
	__u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)sp);
	return word && !(word & 0xfff);
#else
	return true; /* it is in a register, or anywhere on the stack */
#endif
}

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
