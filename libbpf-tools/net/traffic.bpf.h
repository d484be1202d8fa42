/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes of TCP sessions, without a probe on their packets: user space has the counts of all sockets
 * read at the end of each interval (net/traffic.hpp), and the last ones are read as a session ends.
 * The two may happen at once, so neither computes a difference of which the other would not know:
 * values are sums since the tool began. 5.10+. */
#pragma once
#include "bpf/filter.bpf.h"
#include "bpf/top.bpf.h"
#include "bpf/where.bpf.h"
#include "tcp_bytes.bpf.h"
#include "traffic.h"

enum traffic_kind {
	TRAFFIC_UNKNOWN, /* older than the tool, and not read yet */
	TRAFFIC_SESSION,
	TRAFFIC_OTHER, /* not of TCP */
};

struct traffic_notes {
	__u64 since_ns;
	struct tcp_bytes base; /* not to be shown: before the tool, or filtered */
	struct tcp_bytes told; /* at the last reading, which writes it */
	__u8 kind;
	bool connected; /* it is the side that connected */
	bool ended;
};
#define SOCK_NOTES struct traffic_notes
#include "tcp_state.bpf.h"

TOP(struct traffic_key, struct traffic_value, 32768)

static __always_inline struct tcp_bytes bytes_between(const struct tcp_bytes *then,
						      const struct tcp_bytes *now)
{
	return (struct tcp_bytes){ now->sent - then->sent, now->received - then->received };
}

/* Whether what came since the last reading is shown; if not it is left out of the sums. */
static __always_inline bool traffic_wanted(struct sock_entry *entry, const struct conn *conn,
					   const struct tcp_bytes *now)
{
	struct traffic_notes *notes = &entry->notes;
	struct traffic e = { .time_ns = bpf_ktime_get_ns(), .conn = *conn, .owner = entry->owner };

	e.bytes = bytes_between(&notes->told, now);
	if (sock_wanted(entry) && asked_for(conn_wanted(conn)) && where_holds(NULL, &e, sizeof(e)))
		return true;
	notes->base.sent += e.bytes.sent;
	notes->base.received += e.bytes.received;
	return false;
}

static __always_inline struct traffic_value *traffic_row(struct sock *sk,
							 const struct sock_entry *entry,
							 const struct conn *conn)
{
	struct traffic_key key = { .socket = (__u64)sk, .since_ns = entry->notes.since_ns };
	struct traffic_value *row;
	bool made;

	row = top_entry(&key, &made);
	if (row) {
		row->conn = *conn;
		row->owner = entry->owner;
	}
	return row;
}

static __always_inline void traffic_find(struct sock *sk, struct traffic_notes *notes, int state)
{
	if (BPF_CORE_READ(sk, sk_protocol) != CONN_TCP) {
		notes->kind = TRAFFIC_OTHER;
		return;
	}
	notes->connected = state == TCP_SYN_SENT;
	tcp_bytes_read(&notes->base, sk, state, notes->connected);
	notes->told = notes->base;
	notes->since_ns = bpf_ktime_get_ns();
	notes->kind = TRAFFIC_SESSION;
}

static __always_inline void traffic_read(struct sock *sk, struct sock_entry *entry)
{
	struct traffic_notes *notes = &entry->notes;
	int state = BPF_CORE_READ(sk, __sk_common.skc_state);
	struct traffic_value *row;
	struct tcp_bytes now;
	struct conn conn;

	if (notes->kind == TRAFFIC_UNKNOWN)
		traffic_find(sk, notes, state);
	if (notes->kind != TRAFFIC_SESSION || notes->ended)
		return;
	tcp_bytes_read(&now, sk, state, notes->connected);
	if (now.sent <= notes->told.sent && now.received <= notes->told.received)
		return;
	if (!conn_read(&conn, sk, false))
		return;
	if (traffic_wanted(entry, &conn, &now)) {
		row = traffic_row(sk, entry, &conn);
		if (!row)
			return; /* the next reading has these bytes, too */
		row->live = bytes_between(&notes->base, &now);
	}
	notes->told = now;
}

static __always_inline void traffic_end(struct sock *sk, struct sock_entry *entry, int old_state)
{
	struct traffic_notes *notes = &entry->notes;
	struct traffic_value *row;
	struct tcp_bytes now;
	struct conn conn;

	if (notes->kind != TRAFFIC_SESSION || notes->ended)
		return;
	notes->ended = true;
	tcp_bytes_read(&now, sk, old_state, notes->connected);
	if (!conn_read(&conn, sk, false))
		return;
	if (now.sent != notes->told.sent || now.received != notes->told.received)
		traffic_wanted(entry, &conn, &now);
	if (now.sent == notes->base.sent && now.received == notes->base.received)
		return; /* user space knows nothing of it, and there is nothing to be shown */
	row = traffic_row(sk, entry, &conn);
	if (!row)
		return;
	row->whole = bytes_between(&notes->base, &now);
	row->ended = 1;
}

static __always_inline int traffic_state(struct sock *sk, int old_state, int new_state, bool direct)
{
	struct sock_entry *entry;

	if (!is_tcp(sk, direct))
		return 0;
	if (new_state == TCP_CLOSE) {
		entry = sock_find(sk);
		if (entry)
			traffic_end(sk, entry, old_state);
		return 0;
	}
	entry = sock_at_state(sk, new_state, direct);
	/* MPTCP's own socket is no tcp_sock; its subflows are. */
	if (!entry || READ_FIELD(direct, sk, sk_protocol) != CONN_TCP)
		return 0;
	if (new_state == TCP_SYN_SENT || new_state == TCP_SYN_RECV) {
		entry->notes = (struct traffic_notes){
			.since_ns = bpf_ktime_get_ns(),
			.kind = TRAFFIC_SESSION,
			.connected = new_state == TCP_SYN_SENT,
		};
	}
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tp_btf, struct sock *sk, int old_state, int new_state)
{
	return traffic_state(sk, old_state, new_state, true);
}

SEC("raw_tp/inet_sock_set_state")
int state_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return traffic_state((struct sock *)ctx->args[0], ctx->args[1], ctx->args[2], false);
}

/* Reads all sockets of cb_owners. */
SEC("iter/bpf_map_elem")
int read_iter(struct bpf_iter__bpf_map_elem *ctx)
{
	struct sock_entry *entry = ctx->value;
	__u64 *key = ctx->key;

	if (key && entry)
		traffic_read((struct sock *)*key, entry);
	return 0;
}

/* Reads one: user space runs it for each, where the kernel has no types to attach iterators by. */
SEC("raw_tp")
int read_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (struct sock *)ctx->args[0];
	struct sock_entry *entry = sock_find(sk);

	if (entry)
		traffic_read(sk, entry);
	return 0;
}
