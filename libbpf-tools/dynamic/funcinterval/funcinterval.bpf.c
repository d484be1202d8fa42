// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funcinterval.h"
#include "../function_where.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/functions.bpf.h"
#include "bpf/hist.bpf.h"

const volatile struct funcinterval_config cfg = { .unit_ns = 1 };

#define EXCHANGE_TRIES 64 /* each that fails is another CPU's success */

HIST()

__u64 cb_last = 0; /* when the last hit was, anywhere */

/* By thread; user space sizes it. */
HASH_MAP(cb_lasts, __u32, __u64, 1);

/* Puts `now` in the place of the last time, and says how long ago that was: hits on several CPUs at
 * once are in the order of their times, however late each comes here, and all intervals together
 * are the time from the first hit to the last. Before 5.12 there is no such instruction: user space
 * makes the exchange a store then, and two hits at once may both be measured from the same one. */
static __always_inline void interval(__u64 *place, __u64 now)
{
	__u64 last, since = 0;
	int i;

	for (i = 0; i < EXCHANGE_TRIES; i++) {
		last = *(volatile __u64 *)place;
		if (last >= now)
			break;
		if (__sync_val_compare_and_swap(place, last, now) == last) {
			if (!last)
				return;
			since = now - last;
			break;
		}
	}
	if (i == EXCHANGE_TRIES) {
		count_lost_map();
		return;
	}
	/* Or clang makes another instruction of 5.12 of "add 0". */
	asm volatile("" : "+r"(since));
	hist_count(since, cfg.unit_ns);
}

static __always_inline __u64 *last_of_thread(__u64 now)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 *last;

	tid = tid ?: -1U - bpf_get_smp_processor_id(); /* the idle tasks */
	last = bpf_map_lookup_elem(&cb_lasts, &tid);
	if (!last && bpf_map_update_elem(&cb_lasts, &tid, &now, BPF_NOEXIST))
		count_lost_map();
	return last;
}

/* `form` is a constant. */
static __always_inline int hit_as(void *ctx, enum body_form form)
{
	__u64 now = bpf_ktime_get_ns(), *place = &cb_last;

	if (!filter_current() || !call_wanted(ctx, form))
		return 0;
	if (cfg.per_thread)
		place = last_of_thread(now);
	if (!place)
		return 0;
	interval(place, now);
	return 0;
}

static __always_inline int hit(void *ctx, __u32 function)
{
	return hit_as(ctx, BODY_PLAIN);
}

POINT_PROGS(hit, hit)

SEC("fentry/%function")
int hit_fentry(void *ctx)
{
	return hit_as(ctx, BODY_TYPED);
}

SEC("raw_tp/sched_process_free")
int thread_gone(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tid = BPF_CORE_READ(task, pid);

	bpf_map_delete_elem(&cb_lasts, &tid);
	return 0;
}
