// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "softirqslower.h"

const volatile struct softirq_config cfg = {};

/* By CPU; user space makes room for all. A softirq runs on the CPU that raised it. An array, not a
 * per-CPU one, whose lookup is a call on kernels before 6.10. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct softirq_cpu);
} cpus SEC(".maps");

static __always_inline struct softirq_cpu *this_cpu(__u32 *cpu)
{
	*cpu = bpf_get_smp_processor_id();
	if (cfg.by_cpu && *cpu != cfg.cpu)
		return NULL;
	return bpf_map_lookup_elem(&cpus, cpu);
}

/* Of whom it interrupted, as our PID namespace has them. By the helper: this tool looks at none of the
 * kernel's types, and so runs where they are not told. */
static __always_inline __u64 interrupted_ids(void)
{
	struct softirq_ids ids = {};

	if (!cfg.pidns)
		return bpf_get_current_pid_tgid();
	bpf_get_ns_current_pid_tgid(cfg.pidns_device, cfg.pidns, (void *)&ids, sizeof(ids));
	return (__u64)ids.tgid << 32 | ids.pid;
}

static __noinline int report(void *ctx, __u64 now, __u64 lat, __u32 cpu, __u32 vector_stage)
{
	struct softirq_event e = {
		.time_ns = now,
		.lat_ns = lat,
		.cpu = cpu,
		.vector = vector_stage >> 1,
		.stage = vector_stage & 1,
	};
	__u64 ids = interrupted_ids();

	e.pid = ids >> 32;
	e.tid = ids;
	bpf_get_current_comm(e.comm, sizeof(e.comm)); /* whom it interrupted, or ksoftirqd */
	event_output(ctx, &e, sizeof(e));
	return 0;
}

static __always_inline int raise(__u32 vector)
{
	__u32 cpu;
	struct softirq_cpu *slot = this_cpu(&cpu);

	if (!slot)
		return 0;
	vector &= SOFTIRQ_SLOTS - 1;
	slot->raises[vector]++;
	if (!slot->raised_ns[vector]) /* else it waits already */
		slot->raised_ns[vector] = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int entry(void *ctx, __u32 vector)
{
	__u32 cpu;
	volatile struct softirq_cpu *slot = this_cpu(&cpu);
	__u64 now, raised;
	__u32 raises;

	if (!slot) {
		if (cfg.by_cpu && cpu != cfg.cpu)
			count_filtered();
		return 0;
	}
	vector &= SOFTIRQ_SLOTS - 1;
	now = bpf_ktime_get_ns();
	raises = slot->raises[vector];
	raised = slot->raised_ns[vector];
	slot->raised_ns[vector] = 0;
	/* An interrupt between these two lines may have raised it again, and have found it waiting. */
	if (slot->raises[vector] != raises)
		slot->raised_ns[vector] = now;
	slot->begun_ns = now;
	if (raised && time_between(raised, now) >= cfg.min_ns)
		report(ctx, now, time_between(raised, now), cpu, vector << 1 | SOFTIRQ_WAIT);
	return 0;
}

static __always_inline int leave(void *ctx, __u32 vector)
{
	__u32 cpu;
	struct softirq_cpu *slot = this_cpu(&cpu);
	__u64 now, begun;

	if (!slot) {
		if (cfg.by_cpu && cpu != cfg.cpu)
			count_filtered();
		return 0;
	}
	begun = slot->begun_ns;
	slot->begun_ns = 0;
	if (!begun)
		return 0;
	now = bpf_ktime_get_ns();
	if (time_between(begun, now) >= cfg.min_ns)
		report(ctx, now, time_between(begun, now), cpu, vector << 1 | SOFTIRQ_RUN);
	return 0;
}

#define PROGRAMS(kind)                                 \
	SEC(#kind "/softirq_raise")                    \
	int raise_##kind(__u64 *ctx)                   \
	{                                              \
		return raise(ctx[0]);                  \
	}                                              \
	SEC(#kind "/softirq_entry")                    \
	int entry_##kind(__u64 *ctx)                   \
	{                                              \
		return entry(ctx, ctx[0]);             \
	}                                              \
	SEC(#kind "/softirq_exit")                     \
	int exit_##kind(__u64 *ctx)                    \
	{                                              \
		return leave(ctx, ctx[0]);             \
	}

PROGRAMS(tp_btf)
PROGRAMS(raw_tp)
