// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/hist.bpf.h"
#include "bpf/where.bpf.h"
#include "dbstat.h"

const volatile struct database_config cfg = { .unit_ns = 1000000 };
HIST()
HISTS_BY_CPU(struct dbstat_key, 16384)

#include "../database.bpf.h"

static __always_inline void statement_began(struct statement *s, __u64 text, __u32 size)
{
}

static __always_inline void statement_dropped(struct statement *s)
{
}

static __noinline bool statement_wanted(void *ctx, const struct statement *s, __u64 lat_ns,
					__u32 outcome)
{
	__u64 ids = current_ids();
	struct dbstat_event e = {
		.lat_ns = lat_ns,
		.pid = ids >> 32,
		.tid = ids,
		.server = s->server,
		.command = s->command,
		.outcome = outcome,
	};

	bpf_get_current_comm(e.comm, sizeof(e.comm));
	return where_holds(ctx, &e, sizeof(e));
}

static __always_inline void statement_ended(void *ctx, struct statement *s, __u64 lat_ns,
					    __u32 outcome)
{
	struct dbstat_key key = { .cpu = bpf_get_smp_processor_id() };

	if (cb_where_on && !statement_wanted(ctx, s, lat_ns, outcome))
		return;
	if (!cfg.by_command && !cfg.by_pid) {
		hist_count(lat_ns, cfg.unit_ns);
		return;
	}
	if (cfg.by_command) {
		key.server = s->server;
		key.command = s->command;
	}
	if (cfg.by_pid)
		key.pid = current_ids() >> 32;
	hists_count(&key, lat_ns, cfg.unit_ns);
}
