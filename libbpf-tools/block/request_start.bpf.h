/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A note to each request in flight. 5.10+.
 *
 * A driver makes its requests once and uses them again and again, so a request's address is its
 * name, and its note can stay where it is. A table that is indexed by a hash of the address holds
 * the notes: no lock, nothing allocated, some ten instructions where the insertion into a hash map
 * and the removal take hundreds. Requests whose place is taken go to a hash map. */
#pragma once
#include "bpf/core.bpf.h"

#ifndef REQUEST_TABLE_BITS /* tests make it small, so that the map is used */
#define REQUEST_TABLE_BITS 14
#endif

struct request_start {
	__u64 request; /* whose note it is, for good; 0 in the hash map */
	__u64 ns;      /* 0: not started */
	__u32 tickets; /* how many wanted the place while it was free */
	__u32 issuer;  /* the tool's verdict on who issued it, 0: none yet */
#ifdef REQUEST_START_MORE
	REQUEST_START_MORE
#endif
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << REQUEST_TABLE_BITS);
	__type(key, __u32);
	__type(value, struct request_start);
} cb_requests SEC(".maps");

HASH_MAP(cb_more_requests, __u64, struct request_start, 8192);

bool cb_table_is_full = false; /* cb_more_requests has been used */

static __always_inline struct request_start *request_place(__u64 request)
{
	__u32 i;

	/* To the verifier it is a pointer still, of which it allows to take the lower half, but no
	 * arithmetic. */
	asm("r1 = %1; %0 = w1" : "=w"(i) : "r"(request) : "r1");
	i = i * 0x9e3779b1 >> (32 - REQUEST_TABLE_BITS); /* Fibonacci hashing */
	return bpf_map_lookup_elem(&cb_requests, &i);
}

/* The note of a request, NULL if there is none. */
static __always_inline struct request_start *request_find(const struct request *rq)
{
	__u64 request = (__u64)rq;
	struct request_start *s = request_place(request);

	if (s && s->request == request)
		return s;
	return cb_table_is_full ? bpf_map_lookup_elem(&cb_more_requests, &request) : NULL;
}

/* The same; makes one where there is none. NULL, counted as lost, if there is no room. */
static __always_inline struct request_start *request_note(const struct request *rq)
{
	static const struct request_start zero;
	__u64 request = (__u64)rq;
	struct request_start *s = request_place(request);

	if (!s)
		return NULL;
	if (s->request == request)
		return s;
	if (!s->tickets) {
		/* No compare-and-swap before 5.12. Of several that take a ticket at once, at most
		 * one can see that there is but one; if none does, the place stays empty. */
		__sync_fetch_and_add(&s->tickets, 1);
		if (*(volatile __u32 *)&s->tickets == 1) {
			s->request = request;
			return s;
		}
	}
	cb_table_is_full = true;
	return find_or_insert(&cb_more_requests, &request, &zero);
}

/* The request has ended. */
static __always_inline void request_forget(const struct request *rq, struct request_start *s)
{
	__u64 request = (__u64)rq;

	if (s->request) {
		s->ns = 0;
		s->issuer = 0;
	} else {
		bpf_map_delete_elem(&cb_more_requests, &request);
	}
}
