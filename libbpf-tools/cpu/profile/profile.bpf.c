// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/stacks.bpf.h"
#include "bpf/task_event.bpf.h"
#include "profile.h"

const volatile struct profile_config cfg = {};

static __always_inline int sample(void *ctx)
{
	struct stack_key key = {};
	__u64 ids;

	/* The idle tasks, whose thread id is 0 on every CPU. */
	if (!cfg.include_idle && !(__u32)bpf_get_current_pid_tgid())
		return 0;
	if (!filter_current() || !current_holds(0))
		return 0;
	ids = current_ids();
	key.pid = ids >> 32;
	if (cb_stack.threads)
		key.tid = ids;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	take_stacks(ctx, &key);
	stack_add(&key, 0);
	return 0;
}

/* A program for each rung, so that the ladder can tell them apart. */
SEC("perf_event")
int sample_cycles(struct bpf_perf_event_data *ctx)
{
	return sample(ctx);
}

SEC("perf_event")
int sample_clock(struct bpf_perf_event_data *ctx)
{
	return sample(ctx);
}
