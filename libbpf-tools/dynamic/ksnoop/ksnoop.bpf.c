// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One instance of this object traces one function. Which values it reads and its conditions are in the
 * generated bodies. All instances share the calls under way, so that a function knows who called it. */
#include "ksnoop.h"
#include "bpf/event.bpf.h"
#include "../call.bpf.h"

#define BODY_RECORD_BYTES sizeof(struct ksnoop_record)
#include "../body.bpf.h"

const volatile struct ksnoop_config cfg = { .most = sizeof(struct ksnoop_record) };

/* Entries that wait for their return, or for the last function of the chain. Of calls that never return
 * the oldest make room; an entry that is missed then is counted. User space sizes it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct ksnoop_call);
	__uint(value_size, sizeof(struct ksnoop_record));
} ksnoop_held SEC(".maps");

static __always_inline void send(void *ctx, struct ksnoop_record *record)
{
	__u64 size = record->size;

	if (size > cfg.most)
		size = cfg.most;
	event_output(ctx, record, size);
}

/* Whether the function before this one of the chain is under way below call `number`. Of it the same
 * is true, since calls without are not followed. A global function, as call_forget(). */
__noinline int ksnoop_called(__u32 number)
{
	__u32 tid = call_thread_id();
	struct call_thread *thread = bpf_map_lookup_elem(&cb_threads, &tid);

	if (!thread)
		return 0;
	for (__u32 i = 0; i < CALL_DEPTH; i++)
		if (i < number && thread->frames[i].function + 1 == cfg.function)
			return 1;
	return 0;
}

/* The nearest call of each function of the chain below call `number`: a bit for each call. */
__noinline __u64 ksnoop_chain(__u32 number)
{
	__u32 tid = call_thread_id(), next = cfg.last;
	struct call_thread *thread = bpf_map_lookup_elem(&cb_threads, &tid);
	__u64 calls = 0;

	if (!thread)
		return 0;
	for (__u32 i = 1; i <= CALL_DEPTH; i++) {
		__u32 at = CALL_DEPTH - i;

		if (at >= number || thread->frames[at].function + 1 != next)
			continue;
		calls |= 1ULL << at;
		next--;
	}
	return calls;
}

/* The last function of the chain was called: those above it are shown now, the outermost first. */
static __noinline void send_chain(void *ctx, __u32 number)
{
	struct ksnoop_call call = { .tid = call_thread_id() };
	__u64 calls = ksnoop_chain(number);

	for (__u32 i = 0; i < CALL_DEPTH; i++) {
		struct ksnoop_record *entry;

		if (!(calls >> i & 1))
			continue;
		call.number = i;
		entry = bpf_map_lookup_elem(&ksnoop_held, &call);
		if (!entry) {
			count_lost_map();
		} else if (!entry->shown) {
			entry->shown = 1;
			if (!entry->hidden)
				send(ctx, entry);
		}
	}
}

static __always_inline void begin_record(struct ksnoop_record *record, enum body_form form)
{
	__u64 ids = current_ids();

	record->task.pid = ids >> 32;
	record->task.tid = ids;
	record->lat_ns = 0;
	record->function = cfg.function;
	record->cpu = bpf_get_smp_processor_id();
	record->form = form;
	record->is_return = 0;
	record->undecided = 0;
	record->shown = 0;
	record->hidden = !cfg.shows_entry;
	record->pad = 0;
	record->missing = 0;
}

/* False: the call is not wanted, or it cannot be followed, which is counted. */
static __always_inline bool take_entry(void *ctx, struct ksnoop_record *record, __u32 number,
				       enum body_form form)
{
	struct ksnoop_call call = { .tid = call_thread_id(), .number = number };

	begin_record(record, form);
	record->size = entry_run(ctx, record, form);
	if (!asked_for(record->size != 0))
		return false;
	task_info_read(&record->task, form == BODY_TYPED);
	if (cfg.held || (cfg.chain && cfg.function != cfg.last)) {
		if (!bpf_map_update_elem(&ksnoop_held, &call, record, BPF_ANY))
			return true;
		count_lost_map();
		return false;
	}
	if (cfg.chain)
		send_chain(ctx, number);
	if (cfg.shows_entry)
		send(ctx, record);
	return true;
}

static __always_inline int begin(void *ctx, __u32 place, __u32 function, bool registers)
{
	struct ksnoop_record *record;
	bool taken = false;
	int number;

	if (!filter_current())
		return 0;
	number = call_begin(place, cfg.function);
	if (number < 0 || !cfg.reads_entry)
		return 0;
	if (!cfg.chain || !cfg.function || asked_for(ksnoop_called(number))) {
		/* Entry and return are different programs, which may interrupt each other. */
		record = body_take(true);
		if (record) {
			taken = take_entry(ctx, record, number, registers ? BODY_PLAIN : BODY_TYPED);
			body_leave(record, true);
		}
	}
	if (!taken)
		call_undo(number);
	return 0;
}

/* Of a call whose entry waits, or null. */
static __always_inline void take_return(void *ctx, struct ksnoop_record *record,
					struct ksnoop_record *entry, __u64 lat_ns,
					enum body_form form)
{
	begin_record(record, form);
	record->is_return = 1;
	record->lat_ns = lat_ns;
	record->size = body_run(ctx, record, form);
	if (entry && !entry->shown && cfg.shows_entry && asked_for(record->size != 0))
		send(ctx, entry);
	if (cfg.shows_return && asked_for(record->size != 0)) {
		task_info_read(&record->task, form == BODY_TYPED);
		send(ctx, record);
	}
}

static __always_inline int end(void *ctx, __u32 place, bool registers)
{
	const bool waits = cfg.held || (cfg.chain && cfg.function != cfg.last);
	struct ksnoop_record *record, *entry = NULL;
	__u64 now = bpf_ktime_get_ns();
	struct ksnoop_call key = {};
	struct call_frame call;

	if (!call_end(place, &call, &key.number))
		return 0;
	if (waits) {
		key.tid = call_thread_id();
		entry = bpf_map_lookup_elem(&ksnoop_held, &key);
		if (!entry) {
			count_lost_map();
			return 0;
		}
	}
	if (cfg.chain && entry && !entry->shown) {
		asked_for(entry->hidden); /* it did not lead to the last function */
	} else if (cfg.shows_return || cfg.held) {
		record = body_take(true);
		if (record) {
			take_return(ctx, record, entry, time_between(call.start_ns, now),
				    registers ? BODY_PLAIN : BODY_TYPED);
			body_leave(record, true);
		}
	}
	if (entry)
		bpf_map_delete_elem(&ksnoop_held, &key);
	return 0;
}

CALL_PROGS(begin, end)
