// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../request.bpf.h"
#include "../request_event.bpf.h"
#include "biotop.h"
#include "bpf/top.bpf.h"

TOP(struct biotop_key, struct biotop_sums, 16384)

static __always_inline void request_made(void *ctx, struct request_origin *origin, struct bio *bio)
{
}

static __always_inline void request_issued(void *ctx, struct request *rq, struct request_start *r)
{
}

static __always_inline void request_done(void *ctx, struct request *rq, struct request_start *r,
					 __u64 now, int error)
{
	struct biotop_key key = {
		.pid = r->origin.pid,
		.disk = request_disk_named(rq, true),
		.kind = request_kind(r->flags),
	};
	struct biotop_sums *s;
	bool made;

	if (!request_of_holds(rq, r, time_between(r->ns, now)))
		return;
	s = top_entry(&key, &made);
	if (!s)
		return;
	__sync_fetch_and_add(&s->ios, 1);
	__sync_fetch_and_add(&s->bytes, r->bytes);
	__sync_fetch_and_add(&s->ns, time_between(r->ns, now));
	if (made)
		__builtin_memcpy(s->comm, r->origin.comm, sizeof(s->comm));
}
