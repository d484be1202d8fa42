// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/counters.bpf.h"
#include "pidpersec.h"

static __always_inline int created(__u64 flags)
{
	if (counters_wanted())
		counters_add(flags & CLONE_THREAD ? NEW_THREAD : NEW_PROCESS, 1);
	return 0;
}

/* The running task is the one that creates. */
SEC("tp_btf/task_newtask")
int BPF_PROG(new_tp_btf, struct task_struct *task, unsigned long flags)
{
	return created(flags);
}

SEC("raw_tp/task_newtask")
int BPF_PROG(new_raw_tp, struct task_struct *task, unsigned long flags)
{
	return created(flags);
}
