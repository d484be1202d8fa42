/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A block request from when a task asks for it until the device has done it. 5.10+, on any driver
 * that has requests, with and without a scheduler.
 *
 * Including this file gives a tool the programs below and the task filter. The tool defines
 *
 *	#define REQUEST_MORE __s32 stack;	(before the include; may be left out) members of its
 *						own that a request carries from request_made() on
 *	static __always_inline void request_made(void *ctx, struct request_origin *origin,
 *						 struct bio *bio);
 *		in the context of the task that asks for it, which the filter lets pass: pid, tid,
 *		comm and made_ns are filled in; it fills in its own members (a stack ...). `bio` is
 *		NULL for a driver's own command. May be called for requests that are never issued.
 *	static __always_inline void request_issued(void *ctx, struct request *rq,
 *						   struct request_start *r);
 *		the driver gets it, in any context; again if it comes back to be tried again
 *		(r->requeues, with kRequestsRequeued). *r is filled in: sector, bytes and flags
 *		are final.
 *	static __always_inline void request_done(void *ctx, struct request *rq,
 *						 struct request_start *r, __u64 now, int error);
 *		the device has done all of it; `now - r->ns` is how long it took, `r->ns -
 *		r->origin.made_ns` how long it had waited before. `error`: 0, a negative errno (5.10)
 *		or a positive blk_status_t. Parts of it that end earlier are not told.
 *
 * each empty if it does not need it; user space (request.hpp) names what it needs:
 *
 *	constexpr Need kNeeds[] = {kRequestsMade<S>, kRequestsIssued<S>, kRequestsDone<S>};
 *
 * (all three for request_done() or for the issuer in request_issued()), calls choose_disk() in its
 * setup and request_resolved() in its `resolved`. Requests of tasks or disks that are not asked for
 * are counted as filtered, once, and never get to the last two functions.
 *
 * Who asks: the running task where the kernel makes the request (block_io_start; before 6.5
 * blk_account_io_start(); where that was inlined, as in 6.1, the bio is noted when it gets a request,
 * block_getrq, and found again by rq->bio when that is issued). Later on a kernel thread or an
 * interrupt may handle it. A bio that is merged into a request of another task does not change
 * whose that is (where rq->bio has to tell and it comes to stand in front, it does). A flush that
 * the kernel makes for somebody's fsync(2) or FUA write (blk-flush.c) belongs to the first who waits
 * for it. Where nobody is known pid is 0 and comm "?". */
#pragma once
#include "disk.bpf.h"
/* Requests are the disk's: in a container those of others, kernel threads above all, count too. */
#define FILTER_ALL_NAMESPACES
#include "bpf/filter.bpf.h"
#include "request.h"

#ifndef REQUEST_MORE
#define REQUEST_MORE
#endif

/* Who asked for a request, and when: CLOCK_MONOTONIC. */
struct request_origin {
	__u64 made_ns; /* 0: that was not seen */
	__u32 pid, tid;
	char comm[COMM_LEN]; /* aligned to 8 */
	REQUEST_MORE
};

/* More of a request's note (request_start.bpf.h), whose `ns` is when it was issued. */
#define REQUEST_START_MORE            \
	__u32 requeues;               \
	__u32 flags; /* cmd_flags */  \
	__u64 sector;                 \
	__u32 bytes;                  \
	struct request_origin origin;
#include "request_start.bpf.h"

enum request_verdict { REQUEST_WANTED = 1, REQUEST_UNWANTED = 2 };

const volatile struct request_config cb_requests_of = {};

/* Which argument of block_getrq and of block_bio_frontmerge is the bio: until 5.11 a queue stands
 * before it, or a queue and a request. */
const volatile __u32 cb_bio_arg = 0, cb_front_arg = 0;

static __always_inline void request_made(void *ctx, struct request_origin *origin, struct bio *bio);
static __always_inline void request_issued(void *ctx, struct request *rq, struct request_start *r);
static __always_inline void request_done(void *ctx, struct request *rq, struct request_start *r,
					 __u64 now, int error);

/* What waits for its request: bios that are noted and never issued by that name (they were merged)
 * fall out by themselves. */
struct bio_note {
	__u32 issuer;
	struct request_origin origin;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, struct bio_note);
} cb_bios SEC(".maps");

static __always_inline __u32 origin_fill(void *ctx, struct request_origin *o, struct bio *bio)
{
	__u64 ids;

	o->made_ns = bpf_ktime_get_ns();
	if (!filter_current())
		return REQUEST_UNWANTED;
	ids = current_ids();
	o->pid = ids >> 32;
	o->tid = ids;
	current_comm(true, o->comm);
	request_made(ctx, o, bio);
	return REQUEST_WANTED;
}

static __always_inline int made(void *ctx, struct request *rq)
{
	struct request_start *r = request_note(rq);

	if (!r)
		return 0;
	r->ns = 0;
	r->requeues = 0;
	r->issuer = origin_fill(ctx, &r->origin, rq->bio);
	return 0;
}

SEC("tp_btf/block_io_start")
int BPF_PROG(made_start, struct request *rq)
{
	return made(ctx, rq);
}

SEC("fentry/blk_account_io_start")
int BPF_PROG(made_account, struct request *rq)
{
	return made(ctx, rq);
}

static __always_inline struct bio *bio_argument(void *ctx, __u32 argument)
{
	struct bio *bio;

	if (argument == 0)
		asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(bio) : "r"(ctx));
	else if (argument == 1)
		asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(bio) : "r"(ctx));
	else
		asm volatile("%0 = *(u64 *)(%1 + 16)" : "=r"(bio) : "r"(ctx));
	return bio;
}

static __always_inline int noted(void *ctx, struct bio *bio)
{
	struct bio_note note = {};
	__u64 key = (__u64)bio;

	note.issuer = origin_fill(ctx, &note.origin, bio);
	if (bpf_map_update_elem(&cb_bios, &key, &note, BPF_ANY))
		count_lost_map();
	return 0;
}

SEC("tp_btf/block_getrq")
int made_bio(void *ctx)
{
	return noted(ctx, bio_argument(ctx, cb_bio_arg));
}

/* rq->bio becomes this one. */
SEC("tp_btf/block_bio_frontmerge")
int made_front(void *ctx)
{
	return noted(ctx, bio_argument(ctx, cb_front_arg));
}

/* The first request that a flush is for: it has lent it its tag (blk_kick_flush()). NULL if there
 * is none. Not inlined since it is rare, and takes a number since functions take no kernel pointers
 * before 5.12. */
static __noinline __u64 flush_for(__u64 address)
{
	struct request *flush = (struct request *)address, *first = NULL;
	struct blk_mq_hw_ctx *hctx = BPF_CORE_READ(flush, mq_hctx);
	struct blk_mq_tags *tags = BPF_CORE_READ(hctx, sched_tags);
	int tag = BPF_CORE_READ(flush, internal_tag);

	if (!tags || tag < 0) {
		tags = BPF_CORE_READ(hctx, tags);
		tag = BPF_CORE_READ(flush, tag);
	}
	if (tag < 0 || (__u32)tag >= BPF_CORE_READ(tags, nr_tags))
		return 0;
	bpf_probe_read_kernel(&first, sizeof(first), BPF_CORE_READ(tags, static_rqs) + tag);
	return (__u64)first;
}

/* Whose a request is that nobody was seen to ask for. */
static __always_inline void request_adopt(struct request *rq, struct request_start *r)
{
	struct request *first;
	struct request_start *f = NULL;
	struct bio_note *b = NULL;

	r->issuer = cb_requests_of.filtered ? REQUEST_UNWANTED : REQUEST_WANTED;
	if ((rq->cmd_flags & REQUEST_OP_MASK) == REQUEST_FLUSH) {
		first = (struct request *)flush_for((__u64)rq);
		if (cb_requests_of.by_bio) {
			__u64 bio = (__u64)BPF_CORE_READ(first, bio);

			b = bpf_map_lookup_elem(&cb_bios, &bio);
		}
		if (first)
			f = request_find(first);
	}
	if (b) {
		r->issuer = b->issuer;
		r->origin = b->origin;
	} else if (f && f->issuer) { /* kept when it ended: the flush may come behind it */
		r->issuer = f->issuer;
		r->origin = f->origin;
	} else {
		static const struct request_origin nobody = { .comm = "?" };

		r->origin = nobody;
	}
	if (r->issuer == REQUEST_UNWANTED)
		count_filtered();
	r->origin.made_ns = rq->start_time_ns;
}

SEC("tp_btf/block_rq_issue")
int issue(void *ctx)
{
	struct request *rq = request_argument(ctx);
	struct request_start *r = request_note(rq);

	if (!r)
		return 0;
	if (cb_requests_of.by_bio) {
		__u64 bio = (__u64)rq->bio;
		struct bio_note *b = bio ? bpf_map_lookup_elem(&cb_bios, &bio) : NULL;

		if (b) {
			r->ns = 0;
			r->requeues = 0;
			r->issuer = b->issuer;
			r->origin = b->origin;
			bpf_map_delete_elem(&cb_bios, &bio);
		}
	}
	if (!r->origin.made_ns || (rq->cmd_flags & REQUEST_OP_MASK) == REQUEST_FLUSH) {
		r->ns = 0;
		r->requeues = 0;
		request_adopt(rq, r);
	}
	if (r->issuer == REQUEST_UNWANTED)
		return 0;
	if (!request_is_on_disk(rq, true)) {
		r->issuer = REQUEST_UNWANTED;
		count_filtered();
		return 0;
	}
	r->ns = bpf_ktime_get_ns();
	if (!r->origin.made_ns || r->origin.made_ns > r->ns)
		r->origin.made_ns = r->ns;
	/* What is left of one that was done in part is less; what bios were merged into meanwhile is
	 * more. */
	if (!request_comes_again(rq, true) || rq->__data_len > r->bytes) {
		r->sector = rq->__sector;
		r->bytes = rq->__data_len;
	}
	r->flags = rq->cmd_flags;
	request_issued(ctx, rq, r);
	return 0;
}

/* Nothing more will be heard of it; who it was stays, for a flush behind it. */
static __always_inline void request_over(struct request *rq, struct request_start *r)
{
	r->ns = 0;
	r->origin.made_ns = 0;
	if (!r->request)
		request_forget(rq, r);
}

SEC("tp_btf/block_rq_complete")
int complete(__u64 *ctx)
{
	struct request *rq = (struct request *)ctx[0];
	struct request_start *r;
	__u64 now;

	if ((__u32)ctx[2] < rq->__data_len) /* the rest of it is still to come */
		return 0;
	r = request_find(rq);
	if (!r)
		return 0;
	if (r->ns && r->issuer == REQUEST_WANTED) {
		now = bpf_ktime_get_ns();
		request_done(ctx, rq, r, now, (int)ctx[1]);
	}
	request_over(rq, r);
	return 0;
}

/* The driver cannot take it now; some say so before they have taken it. */
SEC("tp_btf/block_rq_requeue")
int requeue(void *ctx)
{
	struct request_start *r = request_find(request_argument(ctx));

	if (r)
		r->requeues++;
	return 0;
}

/* It ends as a part of another. */
SEC("tp_btf/block_rq_merge")
int merge(void *ctx)
{
	struct request *rq = request_argument(ctx);
	struct request_start *r = request_find(rq);

	if (r)
		request_over(rq, r);
	return 0;
}
