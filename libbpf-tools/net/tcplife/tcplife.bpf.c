// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"

struct life_notes {
	__u64 birth_ns;
	bool connected; /* it is the side that connected: its SYN was acknowledged, too */
	bool established;
};
#define SOCK_NOTES struct life_notes
#include "../tcp_bytes.bpf.h"
#include "../tcp_state.bpf.h"
#include "tcplife.h"

/* `state`: the last before CLOSE, or that of a session that is open. */
static __always_inline int tell(void *ctx, struct sock *sk, int state,
				const struct sock_entry *entry, bool is_open, bool direct)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct life_event e = {};

	if (!sock_wanted(entry))
		return 0;
	if (!conn_read(&e.conn, sk, direct) || !asked_for(conn_wanted(&e.conn)))
		return 0;
	e.time_ns = bpf_ktime_get_ns();
	if (entry) {
		e.owner = entry->owner;
		e.birth_ns = entry->notes.birth_ns;
	}
	tcp_bytes_read(&e.bytes, sk, state,
		       entry && entry->notes.connected && entry->notes.established);
	e.retransmits = BPF_CORE_READ(tcp, total_retrans);
	e.rtt_us = BPF_CORE_READ(tcp, srtt_us) >> 3;
	e.error = READ_FIELD(direct, sk, sk_err);
	e.state = state;
	e.is_open = is_open;
	event_output(ctx, &e, sizeof(e));
	return 0;
}

static __always_inline int changed(void *ctx, struct sock *sk, int old_state, int new_state,
				   bool direct)
{
	struct sock_entry *entry;

	if (!is_tcp(sk, direct))
		return 0;
	if (new_state == TCP_CLOSE) {
		/* A listener, and a socket that never connected, are no sessions. */
		if (old_state == TCP_LISTEN || old_state == TCP_CLOSE)
			return 0;
		return tell(ctx, sk, old_state, sock_find(sk), false, direct);
	}
	entry = sock_at_state(sk, new_state, direct);
	if (!entry)
		return 0;
	if (new_state == TCP_SYN_SENT)
		entry->notes.connected = true;
	if (new_state == TCP_SYN_SENT || new_state == TCP_SYN_RECV || new_state == TCP_ESTABLISHED)
		entry->notes.birth_ns = bpf_ktime_get_ns();
	if (new_state == TCP_ESTABLISHED)
		entry->notes.established = true;
	return 0;
}

/* Once no other program runs: the sessions that are still open. */
SEC("iter/bpf_map_elem")
int sessions_left(struct bpf_iter__bpf_map_elem *ctx)
{
	struct sock_entry *entry = ctx->value, copy;
	struct sock **key = ctx->key, *sk;
	__u8 state;

	if (!entry || !key)
		return 0;
	sk = *key;
	copy = *entry;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (state == TCP_LISTEN || state == TCP_CLOSE || !is_tcp(sk, false))
		return 0;
	return tell(ctx, sk, state, &copy, true, false);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tp_btf, struct sock *sk, int old_state, int new_state)
{
	return changed(ctx, sk, old_state, new_state, true);
}

SEC("raw_tp/inet_sock_set_state")
int state_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return changed(ctx, (struct sock *)ctx->args[0], ctx->args[1], ctx->args[2], false);
}
