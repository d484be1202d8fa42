/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who asked for a request, found out when it is issued: for tools that need nothing else of it, at a
 * fraction of the cost of request.bpf.h. 5.10+.
 *
 * A request that goes to the driver at once, as most do, is issued by the very task that asks for it.
 * Others are seen before, in that task too: when they are inserted into a queue, when the driver
 * hands them back before it has begun them, or when they begin a flush sequence (blk-flush.c), whose
 * data an interrupt or a kernel thread issues. Those get a note.
 *
 * The tool includes this file, has the programs insert_*, back_*, flush_* and merge attached next to
 * its own on block_rq_issue, and calls issuer_of() there. */
#pragma once
#include "bpf/block.bpf.h"
/* Requests are the disk's: in a container those of others, kernel threads above all, count too. */
#define FILTER_ALL_NAMESPACES
#include "bpf/filter.bpf.h"

/* More of a request's note (request_start.bpf.h). */
#define REQUEST_START_MORE                                           \
	__u64 made_ns; /* start_time_ns of the request it is about */ \
	char comm[COMM_LEN] __attribute__((aligned(8)));
#include "request_start.bpf.h"
#include "request_merge.bpf.h"

const volatile bool cb_issuer_filtered = false; /* the task filter restricts whose */
bool cb_issuers_noted = false;

enum issuer_verdict { ISSUER_WANTED = 1, ISSUER_UNWANTED = 2 };

static __always_inline int issuer_note(struct request *rq, bool direct)
{
	__u64 made_ns = READ_FIELD(direct, rq, start_time_ns);
	struct request_start *s;

	/* One that the driver had no room for comes back; and one whose data is none never goes to
	 * the driver by itself. */
	if (request_comes_again(rq, direct) || !READ_FIELD(direct, rq, __data_len))
		return 0;
	s = request_note(rq);
	if (!s || (s->issuer && s->made_ns == made_ns))
		return 0;
	cb_issuers_noted = true;
	s->made_ns = made_ns;
	s->issuer = !cb_issuer_filtered || filter_current() ? ISSUER_WANTED : ISSUER_UNWANTED;
	current_comm(direct, s->comm);
	return 0;
}

/* The name, aligned to 8 bytes, of the task that asked for a request that is being issued, for the
 * first time; false: it is not one that is asked for. */
static __always_inline bool issuer_of(struct request *rq, bool direct, char *comm)
{
	struct request_start *s = NULL;
	bool wanted;

	if (cb_issuers_noted)
		s = request_find(rq);
	if (s && s->issuer) {
		wanted = s->issuer == ISSUER_WANTED;
		if (s->made_ns == READ_FIELD(direct, rq, start_time_ns)) {
			__builtin_memcpy(comm, s->comm, COMM_LEN);
			request_forget(rq, s);
			return wanted;
		}
		request_forget(rq, s); /* of an earlier request that was never issued */
	}
	if (cb_issuer_filtered && !filter_current())
		return false;
	current_comm(direct, comm);
	return true;
}

SEC("tp_btf/block_rq_insert")
int insert_tp_btf(__u64 *ctx)
{
	return issuer_note(request_argument(ctx), true);
}

SEC("raw_tp/block_rq_insert")
int insert_raw_tp(__u64 *ctx)
{
	return issuer_note(request_argument(ctx), false);
}

/* The driver had no room for it. */
SEC("tp_btf/block_rq_requeue")
int back_tp_btf(__u64 *ctx)
{
	return issuer_note(request_argument(ctx), true);
}

SEC("raw_tp/block_rq_requeue")
int back_raw_tp(__u64 *ctx)
{
	return issuer_note(request_argument(ctx), false);
}

SEC("fentry/blk_insert_flush")
int BPF_PROG(flush_fentry, struct request *rq)
{
	return issuer_note(rq, true);
}

SEC("kprobe/blk_insert_flush")
int BPF_KPROBE(flush_kprobe, struct request *rq)
{
	return issuer_note(rq, false);
}
