// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../open_calls.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/path.bpf.h"
#include "opensnoop.h"

const volatile struct open_config cfg = {};
EVENT_SCRATCH(struct open_event, 1)

/* In its place with cfg.callers. */
struct open_with_stacks {
	struct open_event event;
	struct event_stacks stacks;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct open_with_stacks);
} with_stacks SEC(".maps");

static __always_inline bool open_wanted(__u32 flags)
{
	return filter_current() && asked_for(!cfg.flag_mask || (flags & cfg.flag_mask));
}

static __always_inline int opened(void *ctx, const struct open_args *args, int ret, __u32 copied)
{
	__u32 zero = 0;
	struct open_event *e = cfg.callers ? bpf_map_lookup_elem(&with_stacks, &zero) :
					     event_scratch(0);
	__u64 size;

	if (!e || !asked_for(!cfg.failed || ret < 0))
		return 0;
	task_info_current(&e->task);
	e->ret = ret;
	e->flags = args->flags;
	e->mode = args->mode;
	size = path_record_fill(&e->path, args->path, copied, args->dfd, cfg.full_path);
	if (size > sizeof(e->path))
		return 0;
	if (!cfg.callers) {
		event_output(ctx, e, offsetof(struct open_event, path) + size);
		return 0;
	}
	size = OPEN_STACKS_AT(size);
	size += event_stacks_fill(ctx, (void *)e + size);
	if (size <= sizeof(struct open_with_stacks))
		event_output(ctx, e, size);
	return 0;
}
