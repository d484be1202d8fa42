// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One instance of this object traces the points of one specification. What is particular about it, its
 * condition and its arguments, is in the generated bodies, which return how many bytes of the record are
 * to be sent. The filter, the account, stacks and the way to user space are here. */
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/functions.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "trace.h"

#define BODY_RECORD_BYTES sizeof(struct trace_record)
#include "../body.bpf.h"

const volatile struct trace_config cfg = { .record = sizeof(struct trace_record),
					   .most = sizeof(struct trace_record) };

static __always_inline void send(void *ctx, struct trace_record *record, __u64 size, bool typed)
{
	task_info_read(&record->task, typed);
	record->cpu = bpf_get_smp_processor_id();
	if (cb_event_stacks.kernel || cb_event_stacks.user) {
		size = cfg.record;
		size += event_stacks_fill(ctx, (void *)record + cfg.record);
	}
	if (size > cfg.most)
		size = cfg.most;
	event_output(ctx, record, size);
}

/* `form` and `shared` are constants. */
static __always_inline int trace_event(void *ctx, __u32 point, enum body_form form, bool shared)
{
	struct trace_record *record;
	__u64 ids, size;

	if (!filter_current())
		return 0;
	record = body_take(shared);
	if (!record)
		return 0;
	ids = current_ids();
	record->task.pid = ids >> 32;
	record->task.tid = ids;
	record->spec = cfg.spec;
	record->point = point;
	record->form = form;
	record->undecided = 0;
	record->missing = 0;
	size = body_run(ctx, record, form);
	if (asked_for(size != 0))
		send(ctx, record, size, form == BODY_TYPED);
	body_leave(record, shared);
	return 0;
}

SEC("fentry/%function")
int enter_fentry(void *ctx)
{
	return trace_event(ctx, 0, BODY_TYPED, false);
}

SEC("fexit/%function")
int leave_fexit(void *ctx)
{
	return trace_event(ctx, 0, BODY_TYPED, false);
}

SEC("tp_btf/%event")
int event_btf(void *ctx)
{
	return trace_event(ctx, 0, BODY_TYPED, true);
}

SEC("kprobe.multi")
int enter_multi(struct pt_regs *ctx)
{
	return trace_event(ctx, multi_function(ctx), BODY_PLAIN, false);
}

SEC("kretprobe.multi")
int leave_multi(struct pt_regs *ctx)
{
	return trace_event(ctx, multi_function(ctx), BODY_PLAIN, false);
}

SEC("kprobe")
int enter_kprobe(struct pt_regs *ctx)
{
	return trace_event(ctx, kprobe_function(ctx), BODY_PLAIN, false);
}

/* Behind a return the address tells nothing: without cookies there is a copy for each point. */
SEC("kretprobe")
int leave_kprobe(struct pt_regs *ctx)
{
	return trace_event(ctx, uprobe_function(ctx), BODY_PLAIN, false);
}

SEC("uprobe")
int enter_umulti(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return trace_event(ctx, multi_function(ctx), BODY_PLAIN, true);
}

SEC("uretprobe")
int leave_umulti(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return trace_event(ctx, multi_function(ctx), BODY_PLAIN, true);
}

SEC("uprobe")
int enter_uprobe(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return trace_event(ctx, uprobe_function(ctx), BODY_PLAIN, true);
}

SEC("uretprobe")
int leave_uprobe(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return trace_event(ctx, uprobe_function(ctx), BODY_PLAIN, true);
}

SEC("tp")
int event_perf(void *ctx)
{
	return trace_event(ctx, copy_function(), BODY_PLAIN, false);
}

SEC("raw_tp")
int event_raw(void *ctx)
{
	return trace_event(ctx, copy_function(), BODY_PLAIN, true);
}
