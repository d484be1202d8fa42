// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/functions.bpf.h"
#include "bpf/stacks.bpf.h"
#include "stackcount.h"
#include "../function_where.bpf.h"

const volatile struct stackcount_config cfg = {};

static __always_inline int called(void *ctx, __u32 function)
{
	struct stack_key key = { .event = function };

	if (cfg.by_cpu && !asked_for(bpf_get_smp_processor_id() == cfg.cpu))
		return 0;
	if (!filter_current() || !call_wanted(ctx, BODY_PLAIN))
		return 0;
	if (function >= cb_functions.count) { /* no name for it */
		count_lost_map();
		return 0;
	}
	/* User addresses mean something in their process only. */
	if (cfg.per_process || cb_stack.user)
		key.pid = current_ids() >> 32;
	if (cfg.per_process)
		bpf_get_current_comm(key.comm, sizeof(key.comm));
	take_stacks(ctx, &key);
	stack_add(&key, 0);
	return 0;
}

POINT_PROGS(called, called)
