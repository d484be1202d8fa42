/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reads arguments of USDT probes in a program of section "uprobe" that a user rung attaches
 * (probe/user_probe.hpp): usdt_arg(ctx, 0, &value) has the first. */
#pragma once
#include "abi/usdt.h"
#include "bpf/point_number.bpf.h"

/* By number of the place; filled by user space before it attaches there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, USDT_SITES);
	__type(key, __u32);
	__type(value, struct usdt_site);
} cb_usdt_sites SEC(".maps");

/* A register by its place in struct pt_regs, which is not known when the program is loaded. */
static __always_inline bool usdt_register(struct pt_regs *ctx, __u16 place, __u64 *value)
{
	return bpf_probe_read_kernel(value, sizeof(*value), (void *)ctx + place) == 0;
}

/* No more than there is: behind it may lie a page that is not. */
static __always_inline bool usdt_memory(__u64 address, __u8 size, __u64 *value)
{
	void *at = (void *)address;

	if (size == 8)
		return bpf_probe_read_user(value, 8, at) == 0;
	if (size == 4)
		return bpf_probe_read_user(value, 4, at) == 0;
	if (size == 2)
		return bpf_probe_read_user(value, 2, at) == 0;
	return bpf_probe_read_user(value, 1, at) == 0;
}

/* False: the note's operand is of no known form, or its memory is not there. */
static __always_inline bool usdt_argument(struct pt_regs *ctx, const struct usdt_operand *o,
					  __u64 *value)
{
	__u64 address = 0, index = 0;
	__u8 unused = 64 - o->size * 8;

	*value = 0;
	switch (o->kind) {
	case USDT_CONSTANT:
		*value = o->offset;
		break;
	case USDT_REGISTER:
		if (!usdt_register(ctx, o->base, value))
			return false;
		*value >>= o->shift;
		break;
	case USDT_RELATIVE:
		/* At a uprobe the kernel sets it to the instruction that it has replaced. */
		if (!usdt_memory(PT_REGS_IP(ctx) + o->offset, o->size, value))
			return false;
		break;
	case USDT_MEMORY:
		if ((o->base != USDT_NO_BASE && !usdt_register(ctx, o->base, &address)) ||
		    (o->scale && !usdt_register(ctx, o->index, &index)))
			return false;
		if (!usdt_memory(address + index * o->scale + o->offset, o->size, value))
			return false;
		break;
	default:
		return false;
	}
	unused &= 63;
	*value <<= unused;
	*value = o->is_signed ? (__u64)((__s64)*value >> unused) : *value >> unused;
	return true;
}

/* Argument `n`, a constant, from 0. Signed ones are extended to 64 bits. A program that reads several has
 * the values in a map, not on the stack, where the verifier follows each combination of outcomes. */
static __always_inline bool usdt_arg(struct pt_regs *ctx, __u32 n, __u64 *value)
{
	__u32 number = uprobe_function(ctx);
	struct usdt_site *site = bpf_map_lookup_elem(&cb_usdt_sites, &number);

	*value = 0;
	return site && n < USDT_ARGUMENTS && usdt_argument(ctx, &site->arguments[n], value);
}
