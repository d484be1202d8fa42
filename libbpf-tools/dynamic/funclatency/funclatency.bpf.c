// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funclatency.h"
#include "../call.bpf.h"
#include "../function_where.bpf.h"
#include "bpf/hist.bpf.h"

const volatile struct funclatency_config cfg = { .unit_ns = 1 };

HIST()
HISTS(struct funclatency_key, 65536)

/* Linear: row 0 is for what is below low, where that is not 0; the last for what is above all steps. */
static __always_inline __u32 latency_slot(__u64 ns)
{
	__u64 slot, beyond = cfg.steps * HIST_ROW;

	if (!cfg.step_ns)
		return log2_slot(ns, cfg.unit_ns);
	if (ns < cfg.low_ns)
		return 0;
	slot = (ns - cfg.low_ns) * HIST_ROW / cfg.step_ns;
	return (slot < beyond ? slot : beyond) + (cfg.low_ns ? HIST_ROW : 0);
}

static __always_inline int begin(void *ctx, __u32 place, __u32 function, bool registers)
{
	if (filter_current() && call_wanted(ctx, registers ? BODY_PLAIN : BODY_TYPED))
		call_begin(place, function);
	return 0;
}

static __always_inline int end(void *ctx, __u32 place, bool registers)
{
	__u64 now = bpf_ktime_get_ns(), ns;
	struct call_frame call;
	__u32 number;

	if (!call_end(place, &call, &number))
		return 0;
	ns = time_between(call.start_ns, now);
	if (!return_wanted(ctx, ns, registers ? BODY_PLAIN : BODY_TYPED))
		return 0;
	if (cfg.per_function || cfg.per_process) {
		struct funclatency_key key = {
			.function = cfg.per_function ? call.function : 0,
			.pid = cfg.per_process ? current_ids() >> 32 : 0,
		};

		hists_count_in(&key, latency_slot(ns), ns);
	} else {
		hist_count_in(latency_slot(ns), ns);
	}
	return 0;
}

CALL_PROGS(begin, end)
