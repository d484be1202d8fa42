// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../frames.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "uflow.h"

const volatile struct uflow_config cfg = {};

static __always_inline bool begins_with(const char *text, const volatile char *start, __u32 length,
					__u32 room)
{
	for (__u32 i = 0; i < room && i < length; i++)
		if (text[i] != start[i])
			return false;
	return true;
}

static __always_inline bool is_wanted(const struct runtime_name *name)
{
	if (cfg.method_length &&
	    !begins_with(name->method, cfg.method, cfg.method_length, RUNTIME_METHOD))
		return false;
	return !cfg.klass_length ||
	       begins_with(name->klass, cfg.klass, cfg.klass_length, RUNTIME_CLASS);
}

static __always_inline void send(struct pt_regs *ctx, struct uflow_event *e)
{
	__u64 length = e->name.klass_length;

	if (length > RUNTIME_CLASS)
		length = RUNTIME_CLASS;
	task_info_read(&e->task, false);
	e->cpu = bpf_get_smp_processor_id();
	event_output(ctx, e, offsetof(struct uflow_event, name.klass) + length);
}

SEC("uprobe")
int enter(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct uflow_event e = {};
	struct runtime_frame call = {};
	bool ends;

	if (!filter_current())
		return 0;
	ends = read_call(ctx, &e.name, &call);
	if (!asked_for(is_wanted(&e.name)))
		return 0;
	if (cb_names.form == RUNTIME_TCL) {
		e.depth = tcl_depth(PT_REGS_PARM1(ctx));
	} else {
		call.start_ns = bpf_ktime_get_ns();
		e.depth = ends ? push_frame(&call) : frame_depth();
	}
	send(ctx, &e);
	return 0;
}

SEC("uprobe")
int leave(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct uflow_event e = { .is_end = true };
	struct runtime_frame call = {};

	if (!filter_current())
		return 0;
	if (read_end(ctx, &e.name, &call, &e.depth))
		e.duration_ns = time_since(call.start_ns);
	/* Of perl without its beginning: nothing says its name. */
	else if (!asked_for(cb_names.form != RUNTIME_PERL && is_wanted(&e.name)))
		return 0;
	send(ctx, &e);
	return 0;
}

/* Raises a semaphore by being there. */
SEC("uprobe")
int nothing(struct pt_regs *ctx)
{
	return 0;
}
