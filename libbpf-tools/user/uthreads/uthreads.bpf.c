// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "../../process/thread_start.bpf.h"
#include "../runtime.bpf.h"
#include "uthreads.h"

/* hotspot/share/runtime/thread.cpp, DTRACE_THREAD_PROBE: name, its length, the VM's number, the
 * kernel's. */
#define THREAD_VM_ID 2

static __always_inline int created(void *ctx, struct task_struct *child, __u64 flags, bool typed)
{
	struct uthreads_event e = { .kind = UTHREAD_PTHREAD };

	if (!(flags & CLONE_THREAD))
		return 0;
	e.start = take_thread_start(&e.image);
	if (!e.start || !filter_current()) /* not made by pthread_create() */
		return 0;
	e.id = ids_of(child, typed);
	task_info_read(&e.task, typed);
	event_output(ctx, &e, offsetof(struct uthreads_event, name));
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(new_tp_btf, struct task_struct *task, unsigned long flags)
{
	return created(ctx, task, flags, true);
}

SEC("raw_tp/task_newtask")
int BPF_PROG(new_raw_tp, struct task_struct *task, unsigned long flags)
{
	return created(ctx, task, flags, false);
}

static __always_inline int changed(struct pt_regs *ctx, enum uthreads_kind kind)
{
	struct uthreads_event e = { .kind = kind };
	__u64 id;

	if (!filter_current())
		return 0;
	usdt_arg(ctx, THREAD_VM_ID, &e.vm_id);
	usdt_arg(ctx, cb_names.value, &id);
	e.id = id;
	runtime_read_name(ctx, &e.name);
	task_info_read(&e.task, false);
	event_output(ctx, &e, sizeof(e));
	return 0;
}

SEC("uprobe")
int thread_start(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return changed(ctx, UTHREAD_START);
}

SEC("uprobe")
int thread_stop(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return changed(ctx, UTHREAD_STOP);
}
