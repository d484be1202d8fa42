// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "writeback.h"

/* A pass under way. */
struct pass {
	__u64 start_ns;
	__s64 pages; /* that are left to write; as many as there are: LONG_MAX */
};
HASH_MAP(under_way, __u32, struct pass, 1024);

enum wb_reason___pre_v7 { /* 7.2 has it no more */
	WB_REASON_LAPTOP_TIMER___pre_v7 = 4,
};

/* 7.2 has it, the others do not. */
enum wb_reason___v7 {
	WB_REASON_DONTCACHE___v7 = 7,
};

#define IS(type, name)                                \
	(bpf_core_enum_value_exists(enum type, name) && \
	 reason == bpf_core_enum_value(enum type, name))

static __always_inline __u32 reason_of(__u32 reason)
{
	if (IS(wb_reason, WB_REASON_BACKGROUND))
		return WRITEBACK_BACKGROUND;
	if (IS(wb_reason, WB_REASON_VMSCAN))
		return WRITEBACK_VMSCAN;
	if (IS(wb_reason, WB_REASON_SYNC))
		return WRITEBACK_SYNC;
	if (IS(wb_reason, WB_REASON_PERIODIC))
		return WRITEBACK_PERIODIC;
	if (IS(wb_reason___pre_v7, WB_REASON_LAPTOP_TIMER___pre_v7))
		return WRITEBACK_LAPTOP_TIMER;
	if (IS(wb_reason, WB_REASON_FS_FREE_SPACE))
		return WRITEBACK_FS_FREE_SPACE;
	if (IS(wb_reason, WB_REASON_FORKER_THREAD))
		return WRITEBACK_FORKER_THREAD;
	if (IS(wb_reason, WB_REASON_FOREIGN_FLUSH))
		return WRITEBACK_FOREIGN_FLUSH;
	if (IS(wb_reason___v7, WB_REASON_DONTCACHE___v7))
		return WRITEBACK_DONTCACHE;
	return WRITEBACK_OTHER;
}

static __always_inline int begin(struct wb_writeback_work *work)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct pass pass = {
		.start_ns = bpf_ktime_get_ns(),
		.pages = BPF_CORE_READ(work, nr_pages),
	};

	call_keep(&under_way, &tid, &pass);
	return 0;
}

static __always_inline int end(void *ctx, struct bdi_writeback *wb, struct wb_writeback_work *work)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct pass *pass = bpf_map_lookup_elem(&under_way, &tid);
	struct writeback_event e = { .tid = tid };
	struct backing_dev_info *bdi;
	struct device *owner;

	if (!pass)
		return 0;
	e.time_ns = bpf_ktime_get_ns();
	e.ns = time_between(pass->start_ns, e.time_ns);
	e.pages = pass->pages - BPF_CORE_READ(work, nr_pages);
	bpf_map_delete_elem(&under_way, &tid);
	e.reason = reason_of(BPF_CORE_READ(work, reason));
	if (bpf_core_field_exists(wb->memcg_css))
		e.cgroup = BPF_CORE_READ(wb, memcg_css, cgroup, kn, id);
	bdi = BPF_CORE_READ(wb, bdi);
	bpf_probe_read_kernel_str(e.bdi, sizeof(e.bdi),
				  (void *)bdi + bpf_core_field_offset(bdi->dev_name));
	owner = BPF_CORE_READ(bdi, owner); /* the disk; others have none */
	if (owner)
		bpf_probe_read_kernel_str(e.device, sizeof(e.device),
					  BPF_CORE_READ(owner, kobj.name));
	else
		__builtin_memcpy(e.device, e.bdi, sizeof(e.device));
	event_output(ctx, &e, sizeof(e));
	return 0;
}

#define WRITEBACK_PROGS(kind)                                                                  \
	SEC(#kind "/writeback_start")                                                          \
	int BPF_PROG(begin_##kind, struct bdi_writeback *wb, struct wb_writeback_work *work)   \
	{                                                                                      \
		return begin(work);                                                            \
	}                                                                                      \
	SEC(#kind "/writeback_written")                                                        \
	int BPF_PROG(end_##kind, struct bdi_writeback *wb, struct wb_writeback_work *work)     \
	{                                                                                      \
		return end(ctx, wb, work);                                                     \
	}

WRITEBACK_PROGS(tp_btf)
WRITEBACK_PROGS(raw_tp)
