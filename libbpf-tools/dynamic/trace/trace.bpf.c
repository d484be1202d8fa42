// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One instance of this object traces the points of one specification. What is particular about it, its
 * condition and its arguments, is in two functions that user space generates and puts in the place of
 * trace_typed() and trace_plain() before libbpf reads the object (expr/splice.hpp). The filter, the
 * account, stacks and the way to user space are here. */
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/functions.bpf.h"
#include "trace.h"

const volatile struct trace_config cfg = { .record = sizeof(struct trace_record),
					   .most = sizeof(struct trace_record) };

/* User space sizes its values: cfg.most, and what a slot has besides. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TRACE_SLOTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct trace_slot));
} trace_slots SEC(".maps");

/* Decides whether the event is wanted: 0, it is not, or how many bytes of the record are to be sent. The
 * record has the numbers of the task when it is called. Why weak and hidden: expr/splice.hpp. */
__weak __hidden __noinline int trace_typed(void *ctx, struct trace_record *record)
{
	asm volatile("" ::"r"(ctx), "r"(record));
	return 0;
}

__weak __hidden __noinline int trace_plain(void *ctx, struct trace_record *record)
{
	asm volatile("" ::"r"(ctx), "r"(record));
	return 0;
}

/* A slot that nobody else on this CPU uses: programs at uprobes may be preempted by another task that
 * meets the same probe, and raw tracepoints interrupted, without the kernel preventing it. No
 * instruction that 5.10 lacks: who is alone after having announced itself has the slot. */
static __always_inline struct trace_slot *slot_take(void)
{
	for (__u32 i = 0; i < TRACE_SLOTS; i++) {
		__u32 at = i;
		struct trace_slot *slot = bpf_map_lookup_elem(&trace_slots, &at);

		if (!slot)
			break;
		__sync_fetch_and_add(&slot->users, 1);
		if (*(volatile __u64 *)&slot->users == 1)
			return slot;
		__sync_fetch_and_add(&slot->users, -1);
	}
	__sync_fetch_and_add(&account()->lost_nested, 1);
	return NULL;
}

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

/* `body` and the flags are constants. `shared`: see slot_take(). */
static __always_inline int trace_event(void *ctx, __u32 point, enum trace_form form, bool shared)
{
	struct trace_record *record;
	struct trace_slot *slot;
	__u32 first = 0;
	__u64 ids, size;

	if (!filter_current())
		return 0;
	slot = shared ? slot_take() : bpf_map_lookup_elem(&trace_slots, &first);
	if (!slot)
		return 0;
	record = &slot->record;
	ids = current_ids();
	record->task.pid = ids >> 32;
	record->task.tid = ids;
	record->spec = cfg.spec;
	record->point = point;
	record->form = form;
	record->missing = 0;
	size = (__u32)(form == TRACE_TYPED ? trace_typed(ctx, record) : trace_plain(ctx, record));
	if (asked_for(size != 0))
		send(ctx, record, size, form == TRACE_TYPED);
	if (shared)
		__sync_fetch_and_add(&slot->users, -1);
	return 0;
}

SEC("fentry/%function")
int enter_fentry(void *ctx)
{
	return trace_event(ctx, 0, TRACE_TYPED, false);
}

SEC("fexit/%function")
int leave_fexit(void *ctx)
{
	return trace_event(ctx, 0, TRACE_TYPED, false);
}

SEC("tp_btf/%event")
int event_btf(void *ctx)
{
	return trace_event(ctx, 0, TRACE_TYPED, true);
}

SEC("kprobe.multi")
int enter_multi(struct pt_regs *ctx)
{
	return trace_event(ctx, multi_function(ctx), TRACE_PLAIN, false);
}

SEC("kretprobe.multi")
int leave_multi(struct pt_regs *ctx)
{
	return trace_event(ctx, multi_function(ctx), TRACE_PLAIN, false);
}

SEC("kprobe")
int enter_kprobe(struct pt_regs *ctx)
{
	return trace_event(ctx, kprobe_function(ctx), TRACE_PLAIN, false);
}

/* Behind a return the address tells nothing: without cookies there is a copy for each point. */
SEC("kretprobe")
int leave_kprobe(struct pt_regs *ctx)
{
	return trace_event(ctx, uprobe_function(ctx), TRACE_PLAIN, false);
}

SEC("uprobe")
int enter_umulti(struct pt_regs *ctx)
{
	return trace_event(ctx, multi_function(ctx), TRACE_PLAIN, true);
}

SEC("uretprobe")
int leave_umulti(struct pt_regs *ctx)
{
	return trace_event(ctx, multi_function(ctx), TRACE_PLAIN, true);
}

SEC("uprobe")
int enter_uprobe(struct pt_regs *ctx)
{
	return trace_event(ctx, uprobe_function(ctx), TRACE_PLAIN, true);
}

SEC("uretprobe")
int leave_uprobe(struct pt_regs *ctx)
{
	return trace_event(ctx, uprobe_function(ctx), TRACE_PLAIN, true);
}

SEC("tp")
int event_perf(void *ctx)
{
	return trace_event(ctx, copy_function(), TRACE_PLAIN, false);
}

SEC("raw_tp")
int event_raw(void *ctx)
{
	return trace_event(ctx, copy_function(), TRACE_PLAIN, true);
}
