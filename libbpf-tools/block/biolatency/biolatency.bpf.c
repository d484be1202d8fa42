// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../disk.bpf.h"
#include "../request_event.bpf.h"
#include "../request_merge.bpf.h"
#include "biolatency.h"
/* Requests are the disk's: in a container those of others, kernel threads above all, count too. */
#define FILTER_ALL_NAMESPACES
#include "bpf/filter.bpf.h"
#include "bpf/hist.bpf.h"

enum issuer { WANTED = 1, UNWANTED = 2 };

const volatile struct biolat_config cfg = { .unit_ns = 1000 };
HIST()
HISTS(struct biolat_key, 16384)

/* A request is inserted, handed back by the driver, which may be before it has begun it, or issued.
 * Who issues it is the task that is first seen with it, since later on a kernel thread or an
 * interrupt may handle it. */
static __always_inline int begin(void *ctx, bool direct, bool issue)
{
	struct request *rq = request_argument(ctx);
	struct request_start *s;
	__u64 made = 0;

	/* When it was made the kernel notes itself, unless it counts no statistics. */
	if (cfg.queued)
		made = READ_FIELD(direct, rq, start_time_ns);
	if (made && !cfg.by_issuer)
		return 0;
	if (!request_is_on_disk(rq, direct)) {
		if (issue && !request_comes_again(rq, direct))
			count_filtered();
		return 0;
	}
	s = request_note(rq);
	if (!s)
		return 0;
	if (cfg.by_issuer) {
		if (!s->issuer)
			s->issuer = filter_current() ? WANTED : UNWANTED;
		if (s->issuer == UNWANTED)
			return 0;
	}
	if (cfg.queued ? !s->ns : issue)
		s->ns = made ?: bpf_ktime_get_ns();
	return 0;
}

static __always_inline void count(struct request *rq, bool direct, __u64 ns)
{
	struct biolat_key key = {};

	if (!request_holds(rq, direct, ns))
		return;
	if (!cfg.per_disk && !cfg.per_flags) {
		hist_count(ns, cfg.unit_ns);
		return;
	}
	if (cfg.per_disk)
		key.disk = request_disk_named(rq, direct);
	if (cfg.per_flags) {
		__u32 flags = READ_FIELD(direct, rq, cmd_flags);

		key.flags = (flags & REQUEST_FLAGS) | request_kind(flags);
	}
	hists_count(&key, ns, cfg.unit_ns);
}

/* With the kernel's own start time: a request that is part of a flush sequence (blk-flush.c) comes
 * here twice, when its data is written and, then without a length, when the flush behind it is
 * done. The flush itself is a request that nobody asked for by that name. */
static __always_inline bool is_flush_machinery(struct request *rq, bool direct, __u32 bytes)
{
	if (bytes)
		return false;
	return READ_FIELD(direct, rq, nr_phys_segments) ||
	       (READ_FIELD(direct, rq, cmd_flags) & REQUEST_OP_MASK) == REQUEST_FLUSH;
}

static __always_inline int complete(__u64 *ctx, bool direct)
{
	struct request *rq = (struct request *)ctx[0];
	__u32 bytes = READ_FIELD(direct, rq, __data_len);
	__u64 start = 0;

	if ((__u32)ctx[2] < bytes) /* the rest of it is still to come */
		return 0;
	if (cfg.queued && !cfg.by_issuer)
		start = READ_FIELD(direct, rq, start_time_ns);
	if (start) {
		if (is_flush_machinery(rq, direct, bytes))
			return 0;
		if (!request_is_on_disk(rq, direct)) {
			count_filtered();
			return 0;
		}
	} else {
		struct request_start *s = request_find(rq);

		if (!s)
			return 0;
		start = s->ns;
		request_forget(rq, s);
		if (!start)
			return 0;
	}
	count(rq, direct, time_since(start));
	return 0;
}

#define PROGRAMS(kind, direct)                               \
	SEC(#kind "/block_rq_insert")                        \
	int insert_##kind(__u64 *ctx)                        \
	{                                                    \
		return begin(ctx, direct, false);            \
	}                                                    \
	SEC(#kind "/block_rq_requeue")                       \
	int back_##kind(__u64 *ctx)                          \
	{                                                    \
		return begin(ctx, direct, false);            \
	}                                                    \
	SEC(#kind "/block_rq_issue")                         \
	int issue_##kind(__u64 *ctx)                         \
	{                                                    \
		return begin(ctx, direct, true);             \
	}                                                    \
	SEC(#kind "/block_rq_complete")                      \
	int complete_##kind(__u64 *ctx)                      \
	{                                                    \
		return complete(ctx, direct);                \
	}

PROGRAMS(tp_btf, true)
PROGRAMS(raw_tp, false)
