/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One program at many places: the number of the place that it runs at, from 0. 5.10+. */
#pragma once
#include "abi/functions.h"
#include "bpf/core.bpf.h"

/* In a program of which there is a copy for each point: its number. */
static __always_inline __u32 copy_function(void)
{
	__u64 number;

	asm volatile("%0 = %1" : "=r"(number) : "i"(FUNCTION_NUMBER));
	return number;
}

static __always_inline bool has_cookies(void)
{
	return HAS_HELPER(get_attach_cookie);
}

/* Of kprobe.multi and uprobe.multi. A cookie is the number and 1, since 0 is "none". Where there
 * are no cookies the program loads, and the attach refuses: that costs less. */
static __always_inline __u32 multi_function(struct pt_regs *ctx)
{
	return has_cookies() ? bpf_get_attach_cookie(ctx) - 1 : 0;
}

static __always_inline __u32 uprobe_function(struct pt_regs *ctx)
{
	return has_cookies() ? bpf_get_attach_cookie(ctx) - 1 : copy_function();
}
