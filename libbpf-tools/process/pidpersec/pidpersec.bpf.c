// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/counters.bpf.h"
#include "pidpersec.h"

/* The running task is the one that creates. Raw: nothing of a task is read. */
SEC("raw_tp/task_newtask")
int BPF_PROG(new_raw_tp, struct task_struct *task, unsigned long flags)
{
	if (counters_wanted())
		counters_add(flags & CLONE_THREAD ? NEW_THREAD : NEW_PROCESS, 1);
	return 0;
}
