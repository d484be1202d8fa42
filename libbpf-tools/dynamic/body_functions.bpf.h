/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Functions whose instructions user space generates, from an expression of the user, and puts in
 * the place of these before libbpf reads the object (expr/splice.hpp says why they are weak, hidden and
 * no inline functions). 5.10+. */
#pragma once
#include "bpf/core.bpf.h"
#include "body.h"

/* 0: the event is not wanted. */
__weak __hidden __noinline int body_typed(void *ctx, void *record)
{
	asm volatile("" ::"r"(ctx), "r"(record));
	return 0;
}

__weak __hidden __noinline int body_plain(void *ctx, void *record)
{
	asm volatile("" ::"r"(ctx), "r"(record));
	return 0;
}

/* `form` is a constant. */
static __always_inline __u32 body_run(void *ctx, void *record, enum body_form form)
{
	return form == BODY_TYPED ? body_typed(ctx, record) : body_plain(ctx, record);
}

/* The same at the entry of a call whose return has those above. 0: the call is not wanted. */
__weak __hidden __noinline int entry_typed(void *ctx, void *entry)
{
	asm volatile("" ::"r"(ctx), "r"(entry));
	return 0;
}

__weak __hidden __noinline int entry_plain(void *ctx, void *entry)
{
	asm volatile("" ::"r"(ctx), "r"(entry));
	return 0;
}

static __always_inline __u32 entry_run(void *ctx, void *entry, enum body_form form)
{
	return form == BODY_TYPED ? entry_typed(ctx, entry) : entry_plain(ctx, entry);
}
