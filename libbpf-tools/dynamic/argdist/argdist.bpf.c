// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One instance of this object counts one specification. Its filter, its keys and the value of its
 * histogram are in the generated bodies; what a return needs of the entry is in two more. */
#include "argdist.h"

#define CALL_ENTRIES struct argdist_thread
#include "../call.bpf.h"
#include "bpf/hist.bpf.h"

#define BODY_RECORD_BYTES sizeof(struct argdist_record)
#include "../body.bpf.h"

const volatile struct argdist_config cfg = {};

/* User space sizes its keys. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 10240);
	__uint(key_size, sizeof(__u64));
	__uint(value_size, sizeof(struct hist_part));
} argdist_values SEC(".maps");

static __always_inline __u32 value_slot(__u64 value)
{
	__u64 row = 0;

	if (!cfg.step)
		return log2_slot(value, 1);
	if (value >= cfg.low)
		row = (value - cfg.low) / cfg.step + (cfg.low ? 1 : 0);
	if (row > cfg.last)
		row = cfg.last;
	return row * HIST_ROW;
}

static __always_inline void count(struct argdist_record *record)
{
	__u64 value = 0, biased;
	struct hist_part *part;
	__u32 slot = 0, sign = 0;

	if (cfg.value_at) {
		if (record->missing & cfg.value_bit) {
			count_filtered();
			return;
		}
		value = *(__u64 *)((void *)record + cfg.value_at);
	}
	if (cfg.histogram) {
		if (cfg.bias && (__s64)value < 0) {
			sign = ARGDIST_NEGATIVE;
			value = -value;
		}
		slot = value_slot(value);
	}
	record->part = hist_part_key(slot) | sign;
	part = find_or_insert(&argdist_values, &record->part, &hist_part_zero);
	if (!part)
		return;
	__sync_fetch_and_add(&part->slots[slot & (HIST_ROW - 1)], 1);
	__sync_fetch_and_add(&part->totals.sum, value);
	biased = cfg.histogram ? value : value ^ cfg.bias;
	if (biased > part->totals.max)
		part->totals.max = biased;
	if (~biased > part->totals.min_inv)
		part->totals.min_inv = ~biased;
}

/* An event; of a return with what its entry saw, or null. `form` and `shared` are constants. */
static __always_inline int event(void *ctx, const struct argdist_entry *entry, __u64 latency_ns,
				 enum body_form form, bool shared)
{
	struct argdist_record *record = body_take(shared);

	if (!record)
		return 0;
	record->latency_ns = latency_ns;
	if (entry)
		record->entry = *entry;
	record->pad = 0;
	record->missing = 0;
	if (asked_for(body_run(ctx, record, form)))
		count(record);
	body_leave(record, shared);
	return 0;
}

static const struct argdist_thread no_entries = {};

static __always_inline struct argdist_entry *entry_of(__u32 number, bool make)
{
	__u32 tid = call_thread_id();
	struct argdist_thread *thread = make ? find_or_insert(&cb_entries, &tid, &no_entries) :
					       bpf_map_lookup_elem(&cb_entries, &tid);

	return thread ? &thread->entries[number % CALL_DEPTH] : NULL;
}

/* What has registers may be a program of user space: `shared`, see body_take(). */
static __always_inline int begin(void *ctx, __u32 place, __u32 function, bool registers)
{
	struct argdist_entry *entry;
	int number;

	if (!filter_current())
		return 0;
	if (!cfg.pairs)
		return event(ctx, NULL, 0, registers ? BODY_PLAIN : BODY_TYPED, registers);
	number = call_begin(place, function);
	if (number < 0)
		return 0;
	entry = entry_of(number, true);
	if (!entry) {
		call_undo(number);
		return 0;
	}
	entry->missing = 0;
	entry_run(ctx, entry, registers ? BODY_PLAIN : BODY_TYPED);
	return 0;
}

static __always_inline int end(void *ctx, __u32 place, bool registers)
{
	__u64 now = bpf_ktime_get_ns();
	struct argdist_entry *entry;
	struct call_frame call;
	__u32 number;

	if (!cfg.pairs)
		return filter_current() ? event(ctx, NULL, 0, registers ? BODY_PLAIN : BODY_TYPED,
						registers) :
					  0;
	if (!call_end(place, &call, &number))
		return 0;
	entry = entry_of(number, false);
	if (!entry) {
		count_lost_map();
		return 0;
	}
	return event(ctx, entry, time_between(call.start_ns, now),
		     registers ? BODY_PLAIN : BODY_TYPED, registers);
}

CALL_PROGS(begin, end)

SEC("tp")
int event_perf(void *ctx)
{
	return filter_current() ? event(ctx, NULL, 0, BODY_PLAIN, false) : 0;
}

SEC("raw_tp")
int event_raw(void *ctx)
{
	return filter_current() ? event(ctx, NULL, 0, BODY_PLAIN, true) : 0;
}

SEC("tp_btf/%event")
int event_btf(void *ctx)
{
	return filter_current() ? event(ctx, NULL, 0, BODY_TYPED, true) : 0;
}
