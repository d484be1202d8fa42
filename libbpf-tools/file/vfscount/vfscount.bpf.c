// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/functions.bpf.h"

static __always_inline int called(void *ctx, __u32 function)
{
	if (filter_current())
		calls_add(function);
	return 0;
}

FUNCTION_PROGS(called)
