/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "bpf/sched.bpf.h"

#define TASK_DEAD 0x80 /* linux/sched.h, v4.14 to v7.2 */

/* At sched_switch: the task that leaves will not come back, and its number may be given to another. */
static __always_inline bool prev_is_dead(struct task_struct *prev, bool typed)
{
	struct task_struct___pre_v5_14 *old = (void *)prev;

	if (bpf_core_field_exists(prev->__state))
		return (typed ? prev->__state : BPF_CORE_READ(prev, __state)) & TASK_DEAD;
	return (typed ? old->state : BPF_CORE_READ(old, state)) & TASK_DEAD;
}
