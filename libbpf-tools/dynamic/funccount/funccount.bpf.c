// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/functions.bpf.h"
#include "bpf/syscall_points.bpf.h"
#include "funccount.h"
#include "../function_where.bpf.h"

const volatile struct funccount_config cfg = {};

static __always_inline int called(void *ctx, __u32 function)
{
	if (cfg.by_cpu && !asked_for(bpf_get_smp_processor_id() == cfg.cpu))
		return 0;
	if (filter_current() && call_wanted(ctx, BODY_PLAIN))
		calls_add(function);
	return 0;
}

POINT_PROGS(called, called)
SYSCALL_POINT_PROGS(called)
