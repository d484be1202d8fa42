// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funclatency.h"
#include "../call.bpf.h"

const volatile struct funclatency_config cfg = { .unit_ns = 1 };

static __always_inline __u32 log2_slot(__u64 v);

/* See struct Buckets in shape/histogram.hpp. */
static __always_inline __u32 latency_slot(__u64 v, __u64 unit)
{
	__u64 step;

	v /= unit;
	if (!cfg.step)
		return log2_slot(v);
	if (v < cfg.low)
		return 0;
	step = (v - cfg.low) / cfg.step;
	return (step < cfg.steps ? step : cfg.steps) + !!cfg.low;
}

#define HIST_SLOT(v, unit) latency_slot(v, unit)
#include "bpf/hist.bpf.h"

HIST()
HISTS(struct funclatency_key, 10240)

static __always_inline int begin(void *ctx, __u32 place, __u32 function, bool registers)
{
	if (filter_current())
		call_begin(place, function);
	return 0;
}

static __always_inline int end(void *ctx, __u32 place, bool registers)
{
	__u64 now = bpf_ktime_get_ns();
	struct call_frame call;
	__u32 number;

	if (!call_end(place, &call, &number))
		return 0;
	if (cfg.per_function || cfg.per_process) {
		struct funclatency_key key = {
			.function = cfg.per_function ? call.function : 0,
			.pid = cfg.per_process ? current_ids() >> 32 : 0,
		};

		hists_count(&key, now - call.start_ns, cfg.unit_ns);
	} else {
		hist_count(now - call.start_ns, cfg.unit_ns);
	}
	return 0;
}

CALL_PROGS(begin, end)
