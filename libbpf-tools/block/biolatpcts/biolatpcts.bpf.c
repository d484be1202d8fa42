// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biolatpcts.h"
#include "../disk.bpf.h"
#include "../request_event.bpf.h"
#include "../request_merge.bpf.h"
#include "bpf/hist.bpf.h"

const volatile struct biolatpcts_config cfg = { .from = PCTS_ON_DEVICE };

/* They only grow; user space has them mapped, and takes differences. */
__u64 cb_latencies[PCTS_KINDS][PCTS_SLOTS];
__u64 cb_unstamped; /* requests on which the kernel has put no such time */

/* request.io_start_time_ns has this too, but the kernel fills it in only where somebody keeps
 * statistics of the queue (write-back throttling, kyber): often nobody does. */
static __always_inline int issue(void *ctx, bool direct)
{
	struct request *rq = request_argument(ctx);
	struct request_start *s;

	if (cfg.from != PCTS_ON_DEVICE)
		return 0;
	if (!request_is_on_disk(rq, direct)) {
		if (!request_comes_again(rq, direct))
			count_filtered();
		return 0;
	}
	s = request_note(rq);
	if (s)
		s->ns = bpf_ktime_get_ns();
	return 0;
}

/* CONFIG_BLK_RQ_ALLOC_TIME */
struct request___alloc {
	__u64 alloc_time_ns;
} __attribute__((preserve_access_index));

/* The kernel's own time, 0 if it has noted none. */
static __always_inline __u64 kernel_stamp(struct request *rq, bool direct)
{
	struct request___alloc *timed = (void *)rq;

	if (cfg.from == PCTS_AFTER_ALLOC)
		return READ_FIELD(direct, rq, start_time_ns);
	return bpf_core_field_exists(timed->alloc_time_ns) ?
		       READ_FIELD(direct, timed, alloc_time_ns) :
		       0;
}

static __always_inline int complete(__u64 *ctx, bool direct)
{
	struct request *rq = (struct request *)ctx[0];
	__u32 bytes = READ_FIELD(direct, rq, __data_len);
	__u32 op = READ_FIELD(direct, rq, cmd_flags) & REQUEST_OP_MASK;
	__u64 ns, start;
	__u32 slot;

	if ((__u32)ctx[2] < bytes) /* the rest of it is still to come */
		return 0;
	if (cfg.from == PCTS_ON_DEVICE) {
		struct request_start *s = request_find(rq);

		if (!s)
			return 0;
		start = s->ns;
		request_forget(rq, s);
		if (!start)
			return 0;
	} else {
		/* Done as part of a flush sequence (blk-flush.c); has been here with its data. */
		if (!bytes && op != PCTS_FLUSH)
			return 0;
		if (!request_is_on_disk(rq, direct)) {
			count_filtered();
			return 0;
		}
		start = kernel_stamp(rq, direct);
	}
	if (op >= PCTS_KINDS) {
		count_filtered();
		return 0;
	}
	if (!start) {
		__sync_fetch_and_add(&cb_unstamped, 1);
		return 0;
	}
	ns = time_since(start);
	if (!request_holds(rq, direct, ns))
		return 0;
	slot = ns >> PCTS_MAX_BITS ? PCTS_SLOTS - 1 : log_linear_slot(ns, PCTS_FINE_BITS);
	if (slot < PCTS_SLOTS)
		__sync_fetch_and_add(&cb_latencies[op][slot], 1);
	return 0;
}

#define PROGRAMS(kind, direct)                               \
	SEC(#kind "/block_rq_issue")                         \
	int issue_##kind(__u64 *ctx)                         \
	{                                                    \
		return issue(ctx, direct);                   \
	}                                                    \
	SEC(#kind "/block_rq_complete")                      \
	int complete_##kind(__u64 *ctx)                      \
	{                                                    \
		return complete(ctx, direct);                \
	}

PROGRAMS(tp_btf, true)
PROGRAMS(raw_tp, false)
