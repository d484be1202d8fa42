/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connects of TCP: each from its first segment, in tcp_connect(), to its result. By then the socket has
 * its addresses and ports, and the running task is the one that connects; the result comes in an
 * interrupt. MPTCP connects by a plain socket, which is the one that is seen; an IPv6 socket with an
 * IPv4 address passes there once.
 *
 * A tool defines connect_ended(), which is called for each result. 5.10+. */
#pragma once
#include "bpf/owner.bpf.h"
#include "bpf/sock.bpf.h"
#include "connect.h"

#define ECONNREFUSED 111
#define ETIMEDOUT 110

/* By the address of the struct sock, while it connects. */
HASH_MAP(connects, __u64, struct connect_event, 16384);

static __always_inline void connect_ended(void *ctx, struct sock *sk, struct connect_event *e);

static __always_inline int connect_begins(struct sock *sk, bool direct)
{
	struct connect_event e = {};
	__u64 key = (__u64)sk;

	if (!filter_running(direct) || !conn_read(&e.conn, sk, direct) ||
	    !asked_for(conn_wanted(&e.conn)))
		return 0;
	owner_read(&e.owner, direct);
	e.result = CONNECT_IN_PROGRESS;
	e.start_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&connects, &key, &e, BPF_ANY))
		count_lost_map();
	return 0;
}

static __always_inline __u8 connect_result_of(__s32 error)
{
	return error == ECONNREFUSED ? CONNECT_REFUSED :
	       error == ETIMEDOUT    ? CONNECT_TIMED_OUT :
				       CONNECT_FAILED;
}

static __always_inline int connect_changed(void *ctx, struct sock *sk, int old_state, int new_state,
					   bool direct)
{
	__u64 key = (__u64)sk;
	struct connect_event *e;

	/* Two sockets that connect to each other, or one to itself, pass through SYN_RECV. */
	if (old_state != TCP_SYN_SENT && old_state != TCP_SYN_RECV)
		return 0;
	if (new_state != TCP_ESTABLISHED && new_state != TCP_CLOSE)
		return 0;
	e = bpf_map_lookup_elem(&connects, &key);
	if (!e)
		return 0;
	e->time_ns = bpf_ktime_get_ns();
	e->result = CONNECT_ESTABLISHED;
	if (new_state == TCP_CLOSE) {
		e->error = READ_FIELD(direct, sk, sk_err);
		e->result = e->error ? connect_result_of(e->error) : CONNECT_ABANDONED;
		/* The call itself fails, and says why when it returns: it has not come to
		 * SS_CONNECTING (__inet_stream_connect()). */
		if (!e->error && BPF_CORE_READ(sk, sk_socket, state) == SS_UNCONNECTED)
			goto forget;
	}
	connect_ended(ctx, sk, e);
forget:
	bpf_map_delete_elem(&connects, &key);
	return 0;
}

/* Once no other program runs: what has no result yet. */
SEC("iter/bpf_map_elem")
int connects_left(struct bpf_iter__bpf_map_elem *ctx)
{
	struct connect_event *left = ctx->value, e;
	struct sock **key = ctx->key, *sk;
	__u8 state;

	if (!left || !key)
		return 0;
	sk = *key;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (state != TCP_SYN_SENT && state != TCP_SYN_RECV)
		return 0;
	e = *left;
	e.time_ns = bpf_ktime_get_ns();
	connect_ended(ctx, sk, &e);
	return 0;
}
