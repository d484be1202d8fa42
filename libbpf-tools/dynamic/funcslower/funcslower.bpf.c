// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funcslower.h"

#define CALL_ENTRIES struct funcslower_thread
#include "../call.bpf.h"
#include "../function_where.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/stacks.bpf.h"

const volatile struct funcslower_config cfg = {};

/* What libbpf before 1.2 has no name for. */
#if defined(__TARGET_ARCH_x86)
#define SIXTH_ARGUMENT(regs) ((regs)->r9)
#elif defined(__TARGET_ARCH_arm64)
#define SIXTH_ARGUMENT(regs) (((const struct user_pt_regs *)(regs))->regs[5])
#endif

static const struct funcslower_thread no_entries = {};

static __always_inline struct funcslower_entry *entry_of(__u32 number, bool make)
{
	__u32 tid = call_thread_id();
	struct funcslower_thread *thread =
		make ? find_or_insert(&cb_entries, &tid, &no_entries) :
		       bpf_map_lookup_elem(&cb_entries, &tid);

	return thread ? &thread->entries[number % CALL_DEPTH] : NULL;
}

static __always_inline int begin(void *ctx, __u32 place, __u32 function, bool registers)
{
	struct funcslower_entry *entry;
	struct pt_regs *regs;
	int number;

	if (!filter_current() || !call_wanted(ctx, registers ? BODY_PLAIN : BODY_TYPED))
		return 0;
	number = call_begin(place, function);
	/* fexit sees the arguments and the callers. */
	if (number < 0 || !registers || !(cfg.kernel_stack || cfg.args))
		return 0;
	entry = entry_of(number, true);
	if (!entry) {
		call_undo(number); /* a line without them would be wrong; it is counted as lost */
		return 0;
	}
	regs = ctx;
	entry->args[0] = PT_REGS_PARM1(regs);
	entry->args[1] = PT_REGS_PARM2(regs);
	entry->args[2] = PT_REGS_PARM3(regs);
	entry->args[3] = PT_REGS_PARM4(regs);
	entry->args[4] = PT_REGS_PARM5(regs);
	entry->args[5] = SIXTH_ARGUMENT(regs);
	if (cfg.kernel_stack)
		entry->kernel = stack_id(ctx, 0);
	return 0;
}

/* The user stack is taken at the return, only of slow calls: below the function it is the same, and
 * at a function's first instruction its caller would be missing. */
static __always_inline void take_user_stack(void *ctx, struct funcslower_event *event)
{
	event->user = stack_id(ctx, BPF_F_USER_STACK);
	if (event->user >= 0) {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		event->image = STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
	}
}

static __always_inline int end(void *ctx, __u32 place, bool registers)
{
	__u64 now = bpf_ktime_get_ns();
	struct funcslower_event event = { .kernel = STACK_NONE, .user = STACK_NONE };
	struct funcslower_entry *entry = NULL;
	struct call_frame call;
	__u32 number, args = cfg.args;

	if (!call_end(place, &call, &number) || !asked_for(time_between(call.start_ns, now) >= cfg.min_ns) ||
	    !return_wanted(ctx, time_between(call.start_ns, now), registers ? BODY_PLAIN : BODY_TYPED))
		return 0;
	task_info_current(&event.task);
	event.lat_ns = time_between(call.start_ns, now);
	event.function = call.function;
	if (registers && (cfg.kernel_stack || args)) {
		entry = entry_of(number, false);
		if (!entry) {
			count_lost_map();
			return 0;
		}
		__builtin_memcpy(event.args, entry->args, sizeof(event.args));
		if (cfg.kernel_stack)
			event.kernel = entry->kernel;
	}
	if (registers) {
		event.ret = PT_REGS_RC((struct pt_regs *)ctx);
	} else {
		bpf_get_func_ret(ctx, &event.ret);
		for (__u32 i = 0; i < FUNCSLOWER_ARGS; i++)
			if (i < args)
				bpf_get_func_arg(ctx, i, &event.args[i]);
		if (cfg.kernel_stack)
			event.kernel = stack_id(ctx, 0);
	}
	if (cfg.user_stack)
		take_user_stack(ctx, &event);
	event_output(ctx, &event, offsetof(struct funcslower_event, args) +
				  (args < FUNCSLOWER_ARGS ? args : FUNCSLOWER_ARGS) * sizeof(__u64));
	return 0;
}

CALL_PROGS(begin, end)
