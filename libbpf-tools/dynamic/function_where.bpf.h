/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --where of the tools that trace functions: a condition on arguments, where a function is called, and on
 * what it returns and how long it took. What it rejects is counted as filtered. `form` is a constant. */
#pragma once
#include "body_functions.bpf.h"
#include "function_where.h"

const volatile struct function_where cb_function_where = {};

static __always_inline bool call_wanted(void *ctx, enum body_form form)
{
	struct function_event event = {};

	return !cb_function_where.entry || asked_for(entry_run(ctx, &event, form));
}

static __always_inline bool return_wanted(void *ctx, __u64 lat_ns, enum body_form form)
{
	struct function_event event = { .lat_ns = lat_ns };

	return !cb_function_where.leave || asked_for(body_run(ctx, &event, form));
}
