// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "compactsnoop.h"

const volatile struct compactsnoop_config cfg = {};

EVENT_SCRATCH(struct compactsnoop_event, 1)

/* A zone that a thread compacts. compact_zone() ends at once where the zone needs no compaction, or
 * cannot be compacted: only the tracepoint says that it has begun. */
struct under_way {
	__u64 time_ns; /* of the beginning; 0: not begun */
	struct compact_control *control;
	struct compact_zone_state zone;
};
HASH_MAP(under_way, __u32, struct under_way, 4096);

#define ORDERS 16 /* of struct zone's free_area, at most */

/* The kernel's __fragmentation_index(), mm/vmstat.c. It asks for it only where it may decide. */
static __always_inline __s64 fragmentation_index(struct zone *zone, __s32 order)
{
	__u64 pages = 0, blocks = 0, suitable = 0, free = 0;
	__u32 orders = bpf_core_field_size(zone->free_area) / bpf_core_type_size(struct free_area);

	if (order < 0 || order >= ORDERS)
		return 0;
	/* Unrolled, and so without a break: 5.10 refuses the loop as clang lays it out (back-edge). */
#pragma unroll
	for (__s32 i = 0; i < ORDERS; i++) {
		bpf_probe_read_kernel(&free, sizeof(free),
				      (void *)zone + bpf_core_field_offset(zone->free_area) +
					      i * bpf_core_type_size(struct free_area) +
					      bpf_core_field_offset(struct free_area, nr_free));
		if (i >= (__s32)orders)
			free = 0;
		blocks += free;
		pages += free << i;
		suitable += i >= order ? free : 0;
	}
	if (!blocks)
		return 0;
	if (suitable)
		return -1000;
	return 1000 - (__s64)((1000 + (pages * 1000 >> order)) / blocks);
}

static __always_inline void read_zone(struct compact_zone_state *state, struct zone *zone,
				      __s32 order)
{
	__u64 boost = BPF_CORE_READ(zone, watermark_boost), item;

	state->min = BPF_CORE_READ(zone, _watermark[WMARK_MIN]) + boost;
	state->low = BPF_CORE_READ(zone, _watermark[WMARK_LOW]) + boost;
	state->high = BPF_CORE_READ(zone, _watermark[WMARK_HIGH]) + boost;
	item = bpf_core_enum_value(enum zone_stat_item, NR_FREE_PAGES);
	bpf_probe_read_kernel(&state->free, sizeof(state->free),
			      (void *)zone + bpf_core_field_offset(zone->vm_stat) +
				      item * sizeof(state->free));
	state->fragmentation = fragmentation_index(zone, order);
}

static __always_inline int entered(struct compact_control *control)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct under_way now = { .control = control };

	if (!filter_current())
		return 0;
	if (cfg.extended)
		read_zone(&now.zone, BPF_CORE_READ(control, zone), BPF_CORE_READ(control, order));
	call_keep(&under_way, &tid, &now);
	return 0;
}

static __always_inline int began(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct under_way *now = bpf_map_lookup_elem(&under_way, &tid);

	if (now)
		now->time_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline enum compact_kind kind_of(struct compact_control *control, __s32 order)
{
	if (BPF_CORE_READ(control, direct_compaction))
		return COMPACT_DIRECT;
	if (BPF_CORE_READ(control, proactive_compaction))
		return COMPACT_PROACTIVE;
	return order < 0 ? COMPACT_MANUAL : COMPACT_DAEMON;
}

static __always_inline int left(void *ctx, __u32 status)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct under_way *now = bpf_map_lookup_elem(&under_way, &tid);
	struct compact_control *control;
	struct compactsnoop_event *e;
	struct zone *zone;
	__u64 size;

	if (!now)
		return 0;
	e = event_scratch(0);
	if (!e || !now->time_ns)
		goto out;
	control = now->control;
	zone = BPF_CORE_READ(control, zone);
	__builtin_memset(e, 0, offsetof(struct compactsnoop_event, stacks));
	task_info_current(&e->task);
	e->ns = time_between(now->time_ns, e->task.time_ns);
	e->zone = now->zone;
	e->order = BPF_CORE_READ(control, order);
	e->kind = kind_of(control, e->order);
	e->migrate_scanned = BPF_CORE_READ(control, total_migrate_scanned);
	e->free_scanned = BPF_CORE_READ(control, total_free_scanned);
	e->sync = BPF_CORE_READ(control, mode) != MIGRATE_ASYNC;
	e->node = BPF_CORE_READ(zone, zone_pgdat, node_id);
	e->status = status;
	bpf_probe_read_kernel_str(e->zone_name, sizeof(e->zone_name), BPF_CORE_READ(zone, name));
	size = offsetof(struct compactsnoop_event, stacks) + event_stacks_fill(ctx, &e->stacks);
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
out:
	bpf_map_delete_elem(&under_way, &tid);
	return 0;
}

SEC("fentry/compact_zone")
int BPF_PROG(enter_fentry, struct compact_control *control) { return entered(control); }
SEC("tp_btf/mm_compaction_begin")
int begin_btf(void *ctx) { return began(); }
SEC("fexit/compact_zone")
int BPF_PROG(leave_fexit, void *control, void *capture, __u32 status)
{
	return left(ctx, status);
}

SEC("kprobe/compact_zone")
int BPF_KPROBE(enter_kprobe, struct compact_control *control) { return entered(control); }
SEC("raw_tp/mm_compaction_begin")
int begin_raw(void *ctx) { return began(); }
SEC("kretprobe/compact_zone")
int BPF_KRETPROBE(leave_kretprobe, __u32 status) { return left(ctx, status); }
