// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "drsnoop.h"

const volatile struct drsnoop_config cfg = {};

EVENT_SCRATCH(struct drsnoop_event, 1)

/* Reclaim under way. A task that reclaims allocates without reclaiming (PF_MEMALLOC), so there is one
 * a thread. */
struct begin {
	__u64 time_ns;
	__u64 free;
	__s32 order;
	__u32 gfp;
};
HASH_MAP(begins, __u32, struct begin, 16384);

/* atomic_long_t[]; its address is known where /proc/kallsyms shows it. */
extern const void vm_zone_stat __ksym __weak;

static __always_inline __u64 free_bytes(void)
{
	__u64 pages = 0, item = bpf_core_enum_value(enum zone_stat_item, NR_FREE_PAGES);

	if (!&vm_zone_stat ||
	    bpf_probe_read_kernel(&pages, sizeof(pages),
				  (void *)&vm_zone_stat + item * sizeof(pages)))
		return DRSNOOP_FREE_UNKNOWN;
	return pages * cfg.page_bytes;
}

static __always_inline int began(__s32 order, __u32 gfp, bool typed)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct begin begin = { .order = order, .gfp = gfp };

	if (!filter_running(typed))
		return 0;
	begin.free = free_bytes();
	begin.time_ns = bpf_ktime_get_ns();
	call_keep(&begins, &tid, &begin);
	return 0;
}

static __always_inline int ended(void *ctx, enum reclaim_kind kind, __u64 pages, bool typed)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct begin *begin = bpf_map_lookup_elem(&begins, &tid);
	struct drsnoop_event *e;
	__u64 size;

	if (!begin)
		return 0;
	e = event_scratch(0);
	if (e) {
		task_info_read(&e->task, typed);
		e->kind = kind;
		e->ns = time_between(begin->time_ns, e->task.time_ns);
		e->pages = pages;
		e->free = begin->free;
		e->cgroup = bpf_get_current_cgroup_id();
		e->order = begin->order;
		e->gfp = begin->gfp;
		size = offsetof(struct drsnoop_event, stacks) + event_stacks_fill(ctx, &e->stacks);
		if (size <= sizeof(*e))
			event_output(ctx, e, size);
	}
	bpf_map_delete_elem(&begins, &tid);
	return 0;
}

/* The two arguments changed places when the record got this member; seen on 7.2, not on 6.12. */
static __always_inline bool gfp_is_first(void)
{
	return bpf_core_field_exists(
		((struct trace_event_raw_mm_vmscan_direct_reclaim_begin_template *)0)->memcg_id);
}

static __always_inline int began_with(__u64 first, __u64 second, bool typed)
{
	/* Or clang makes one load of the two, which 5.10 refuses. */
	barrier_var(first);
	barrier_var(second);
	return gfp_is_first() ? began(second, first, typed) : began(first, second, typed);
}

#define RECLAIM(name, kind, tracepoint)                                                   \
	SEC("tp_btf/" #tracepoint "_begin")                                               \
	int name##_begin_btf(__u64 *ctx) { return began_with(ctx[0], ctx[1], true); }     \
	SEC("raw_tp/" #tracepoint "_begin")                                               \
	int name##_begin_raw(__u64 *ctx) { return began_with(ctx[0], ctx[1], false); }    \
	RECLAIM_END(name, kind, tracepoint)

#define RECLAIM_END(name, kind, tracepoint)                                               \
	SEC("tp_btf/" #tracepoint "_end")                                                 \
	int name##_end_btf(__u64 *ctx) { return ended(ctx, kind, ctx[0], true); }         \
	SEC("raw_tp/" #tracepoint "_end")                                                 \
	int name##_end_raw(__u64 *ctx) { return ended(ctx, kind, ctx[0], false); }

RECLAIM(dr, RECLAIM_DIRECT, mm_vmscan_direct_reclaim)
RECLAIM(cg, RECLAIM_CGROUP, mm_vmscan_memcg_reclaim)

/* The node, the order, the flags: on all kernels. */
SEC("tp_btf/mm_vmscan_node_reclaim_begin")
int node_begin_btf(__u64 *ctx) { return began(ctx[1], ctx[2], true); }
SEC("raw_tp/mm_vmscan_node_reclaim_begin")
int node_begin_raw(__u64 *ctx) { return began(ctx[1], ctx[2], false); }
RECLAIM_END(node, RECLAIM_NODE, mm_vmscan_node_reclaim)
