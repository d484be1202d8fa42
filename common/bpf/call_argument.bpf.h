/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* At the entry of a user function: its argument `n`, a constant, from 0. libbpf 1.1 reads five.
 * System V ABI for x86-64, figure 3.4: six in registers, then the stack above the return address;
 * Procedure Call Standard for AArch64, section 6.8.2: eight in registers. */
#pragma once
#include "bpf/core.bpf.h"

static __always_inline __u64 user_argument(struct pt_regs *ctx, __u32 n)
{
#if defined(__TARGET_ARCH_x86)
	__u64 value = 0;

	switch (n) {
	case 0:
		return ctx->di;
	case 1:
		return ctx->si;
	case 2:
		return ctx->dx;
	case 3:
		return ctx->cx;
	case 4:
		return ctx->r8;
	case 5:
		return ctx->r9;
	default:
		bpf_probe_read_user(&value, sizeof(value), (void *)(ctx->sp + 8 + (n - 6) * 8));
		return value;
	}
#else
	return ((const struct user_pt_regs *)ctx)->regs[n & 7];
#endif
}
