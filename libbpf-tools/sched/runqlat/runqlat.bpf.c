// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../by_task.bpf.h"
#include "../run_queue.bpf.h"
#include "runqlat.h"

static __always_inline void waited(void *ctx, struct task_struct *prev, struct task_struct *next,
				   __u64 now, __u64 wait, bool typed)
{
	count_by_task(next, wait, typed);
}
