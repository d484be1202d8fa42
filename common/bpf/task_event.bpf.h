/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --where of tools that count events of tasks: asked where one is counted. What is rejected is counted
 * as filtered. 5.10+. */
#pragma once
#include "abi/task_event.h"
#include "bpf/task.bpf.h"
#include "bpf/where.bpf.h"

static __always_inline void task_event_fill(struct task_event *e, struct task_struct *task, __u64 ids,
					    __u64 ns, bool typed)
{
	e->ns = ns;
	e->pid = ids >> 32;
	e->tid = ids;
	e->cpu = bpf_get_smp_processor_id();
	e->unused = 0;
	comm_of(task, e->comm, typed);
}

/* An event of any task, whose ids these are. */
static __always_inline bool task_holds(struct task_struct *task, __u64 ids, __u64 ns, bool typed)
{
	struct task_event e;

	if (!cb_where_on)
		return true;
	task_event_fill(&e, task, ids, ns, typed);
	return where_holds(NULL, &e, sizeof(e));
}

/* Of the running one. */
static __always_inline void task_event_current(struct task_event *e, __u64 ns)
{
	__u64 ids = current_ids();

	e->ns = ns;
	e->pid = ids >> 32;
	e->tid = ids;
	e->cpu = bpf_get_smp_processor_id();
	e->unused = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
}

static __always_inline bool current_holds(__u64 ns)
{
	struct task_event e;

	if (!cb_where_on)
		return true;
	task_event_current(&e, ns);
	return where_holds(NULL, &e, sizeof(e));
}
