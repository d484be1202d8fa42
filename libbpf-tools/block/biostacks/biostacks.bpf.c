// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/stack_memo.bpf.h"
#include "biostacks.h"
#include "bpf/hist.bpf.h"

#define REQUEST_MORE __s32 stack; /* id + 1; 0: none, negative: lost */
#include "../request.bpf.h"
#include "../request_event.bpf.h"

const volatile __u64 cb_unit_ns = 1000;

/* One for all CPUs, as sums by stack are (bpf/stacks.bpf.h). Preallocated: an
 * interrupt in which many requests complete would find none with the kernel's allocator, which holds
 * few ready (prefill_mem_cache(); seen on 6.1 and 7.2). */
HASH_MAP(cb_stack_hists, struct biostacks_key, struct hist_part, BIOSTACKS_STORAGE);

static __always_inline void request_made(void *ctx, struct request_origin *origin, struct bio *bio)
{
	__s32 id = running_stack_id(ctx);

	origin->stack = id == STACK_NONE ? 0 : id < 0 ? id : id + 1;
}

static __always_inline void request_issued(void *ctx, struct request *rq, struct request_start *r)
{
}

static __always_inline void request_done(void *ctx, struct request *rq, struct request_start *r,
					 __u64 now, int error)
{
	__u64 ns = time_between(r->origin.made_ns, now);
	__u32 slot = log2_slot(ns, cb_unit_ns);
	struct biostacks_key key = {
		.generation = hist_part_key(slot),
		.pid = r->origin.pid,
		.disk = request_disk_named(rq, true),
	};
	__s32 stack = r->origin.stack;
	struct hist_part *p;

	if (!request_of_holds(rq, r, ns))
		return;
	if (cb_stack.threads)
		key.tid = r->origin.tid;
	key.kernel = stack > 0 ? stack - 1 : stack < 0 ? stack : STACK_NONE;
	__builtin_memcpy(key.comm, r->origin.comm, COMM_LEN);
	p = find_or_insert(&cb_stack_hists, &key, &hist_part_zero);
	if (!p)
		return;
	hist_part_add(p, slot, ns);
	/* It is counted, but its stack is lost. */
	if (stack < 0)
		__sync_fetch_and_add(&account()->lost_stack, 1);
}
