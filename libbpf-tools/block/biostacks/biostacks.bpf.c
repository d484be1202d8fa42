// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/stack_memo.bpf.h"
#include "biostacks.h"
#include "bpf/hist.bpf.h"

#define REQUEST_MORE __s32 stack; /* id + 1; 0: none, negative: lost */
#include "../request.bpf.h"

const volatile __u64 cb_unit_ns = 1000;

/* One for all CPUs, as sums by stack are (bpf/stacks.bpf.h). Preallocated: of such large values the
 * kernel's allocator holds but one ready (prefill_mem_cache()), and where two requests complete in one
 * interrupt the second would find none (seen on 6.1 and 7.2). */
HASH_MAP(cb_stack_hists, struct biostacks_key, struct biostacks_value, BIOSTACKS_STORAGE);

static const struct biostacks_value zero;

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
	struct biostacks_key key = {
		.generation = cb_generation,
		.pid = r->origin.pid,
		.disk = request_disk_named(rq, true),
	};
	__s32 stack = r->origin.stack;
	__u64 ns = now > r->origin.made_ns ? now - r->origin.made_ns : 0;
	struct biostacks_value *v;
	__u32 slot = log2_slot(ns / cb_unit_ns);

	if (cb_stack.threads)
		key.tid = r->origin.tid;
	key.kernel = stack > 0 ? stack - 1 : stack < 0 ? stack : STACK_NONE;
	__builtin_memcpy(key.comm, r->origin.comm, COMM_LEN);
	v = bpf_map_lookup_elem(&cb_stack_hists, &key);
	if (!v) {
		bpf_map_update_elem(&cb_stack_hists, &key, &zero, BPF_NOEXIST);
		v = bpf_map_lookup_elem(&cb_stack_hists, &key);
		if (!v) {
			count_lost_map();
			return;
		}
	}
	if (slot >= BIOSTACKS_SLOTS)
		slot = BIOSTACKS_SLOTS - 1;
	__sync_fetch_and_add(&v->slots[slot], 1);
	__sync_fetch_and_add(&v->sum, ns);
	if (ns > v->max)
		v->max = ns;
	if (~ns > v->min_inv)
		v->min_inv = ~ns;
	/* It is counted, but its stack is lost. */
	if (stack < 0)
		__sync_fetch_and_add(&account()->lost_stack, 1);
}
