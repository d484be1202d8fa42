// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bpf/top.bpf.h"
#include "ustat.h"

TOP(struct ustat_key, struct ustat_value, 10240)

static __always_inline int count(enum ustat_count what)
{
	struct ustat_key key = {};
	struct ustat_value *value;
	bool made;

	if (!filter_current() || !current_holds(0))
		return 0;
	key.pid = current_ids() >> 32;
	value = top_entry(&key, &made);
	if (!value)
		return 0;
	__sync_fetch_and_add(&value->counts[what], 1);
	if (made) {
		struct task_struct *task = (void *)bpf_get_current_task();

		BPF_CORE_READ_STR_INTO(&value->comm, task, group_leader, comm);
	}
	return 0;
}

SEC("uprobe")
int method(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return count(USTAT_METHOD);
}

/* Where a program has to be attached for other probes to fire (RuntimeEvent::exactness). */
SEC("uprobe")
int nothing(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return 0;
}

SEC("uprobe")
int gc(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return count(USTAT_GC);
}

SEC("uprobe")
int object(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return count(USTAT_OBJECT);
}

SEC("uprobe")
int plain_object(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return count(USTAT_OBJECT);
}

SEC("uprobe")
int class_load(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return count(USTAT_CLASS);
}

SEC("uprobe")
int exception(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return count(USTAT_EXCEPTION);
}

SEC("uprobe")
int thread(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return count(USTAT_THREAD);
}
