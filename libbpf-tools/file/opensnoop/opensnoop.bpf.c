// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../open_calls.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/path.bpf.h"
#include "opensnoop.h"

const volatile struct open_config cfg = {};
/* Where the kernel preempts itself, one of each way may be made on one CPU. */
EVENT_SCRATCH(struct open_event, OPEN_WAYS)

/* In its place with cfg.callers. */
struct open_with_stacks {
	struct open_event event;
	struct event_stacks stacks;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OPEN_WAYS);
	__type(key, __u32);
	__type(value, struct open_with_stacks);
} with_stacks SEC(".maps");

static __always_inline bool open_wanted(__u32 flags, bool typed)
{
	return filter_running(typed) && asked_for(!cfg.flag_mask || (flags & cfg.flag_mask));
}

static __always_inline int opened(void *ctx, enum open_way way, const struct open_args *args,
				  int ret, __u32 copied, bool typed)
{
	bool special = cfg.special, callers = special && cfg.callers; /* read once: the rest is dropped */
	__u32 slot = way;
	struct open_event *e = callers ? bpf_map_lookup_elem(&with_stacks, &slot) : event_scratch(slot);
	const bool conditional = cb_where_on; /* read once */
	__u64 size;

	if (!e || (special && !asked_for(!cfg.failed || ret < 0)))
		return 0;
	task_info_read(&e->task, typed);
	e->ret = ret;
	e->flags = args->flags;
	e->mode = args->mode;
	/* To copy the path is most of what an event costs: a condition on all else is decided before. */
	if (conditional) {
		e->path.path_len = 0;
		if (!where_holds(ctx, e, offsetof(struct open_event, path)))
			return 0;
	}
	size = path_record_fill(&e->path, args->path, copied, args->dfd, special && cfg.full_path);
	if (size > sizeof(e->path))
		return 0;
	if (conditional && !where_holds(ctx, e, offsetof(struct open_event, path) + size))
		return 0;
	if (!callers) {
		event_send(ctx, e, offsetof(struct open_event, path) + size);
		return 0;
	}
	size = OPEN_STACKS_AT(size);
	size += event_stacks_fill(ctx, (void *)e + size);
	if (size <= sizeof(struct open_with_stacks))
		event_send(ctx, e, size);
	return 0;
}
