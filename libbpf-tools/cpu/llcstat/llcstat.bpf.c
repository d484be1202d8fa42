// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/top.bpf.h"
#include "llcstat.h"

const volatile struct llcstat_config cfg = {};

TOP(struct llcstat_key, struct llcstat_counts, 16384)

static __always_inline struct llcstat_counts *counts(void)
{
	struct llcstat_key key = {};
	__u64 ids;
	bool made;

	if (!filter_current() || !current_holds(0))
		return NULL;
	ids = current_ids();
	key.pid = ids >> 32;
	key.tid = cfg.threads ? (__u32)ids : 0;
	key.cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	return top_entry(&key, &made);
}

static __always_inline int reference(void)
{
	struct llcstat_counts *c = counts();

	if (c)
		__sync_fetch_and_add(&c->references, cfg.reference_period);
	return 0;
}

static __always_inline int miss(void)
{
	struct llcstat_counts *c = counts();

	if (c)
		__sync_fetch_and_add(&c->misses, cfg.miss_period);
	return 0;
}

SEC("perf_event")
int on_reference(void *ctx)
{
	return reference();
}

SEC("perf_event")
int on_miss(void *ctx)
{
	return miss();
}
