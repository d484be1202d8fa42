// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/path_mount.bpf.h"
#include "dcsnoop.h"
#define DCACHE_HOOKS
struct dcache_lookup;
static __always_inline int dcache_lookup(void *ctx, struct dcache_lookup *look);
#include "../dcache.bpf.h"

const volatile struct dcsnoop_config cfg = {};
/* Where the kernel preempts itself, one of each way may be made on one CPU. */
EVENT_SCRATCH(struct dcsnoop_event, DCACHE_WAYS)

static __always_inline int dcache_lookup(void *ctx, struct dcache_lookup *look)
{
	struct dcsnoop_event *e = event_scratch(look->way);
	__u32 len = look->len;
	__u64 size;

	if (!e || !filter_current() || !asked_for(cfg.all || look->result == DCACHE_MISS))
		return 0;
	task_info_current(&e->task);
	e->result = look->result;
	if (len > PATH_NAME_LEN - 1)
		len = PATH_NAME_LEN - 1;
	if (bpf_probe_read_kernel(e->path.data, len, look->name))
		len = 0;
	e->path.data[len] = '\0';
	e->path.path_len = ++len;
	e->path.dir_len = 0;
	if (cfg.full_path) {
		struct vfsmount *mnt = look->mnt ? look->mnt : path_mount_of(look->parent);

		if (mnt)
			path_walk(look->parent, mnt, e->path.data + len, &e->path.dir_len);
	}
	size = offsetof(struct dcsnoop_event, path.data) + len + e->path.dir_len;
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}
