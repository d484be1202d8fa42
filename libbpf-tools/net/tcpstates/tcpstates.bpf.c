// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"

/* What is kept with a socket. A socket that connects gets its local port only after it has changed its
 * state, and the one that a listener makes all its addresses: such a change is told with the next one,
 * or once the first segment is sent. */
struct state_notes {
	__u64 since_ns; /* of the state */
	__u64 held_ns;  /* when the change that is not told yet was; 0: there is none */
	__u64 held_span_ns;
	__u8 held_old, held_new;
};
#define SOCK_NOTES struct state_notes
#include "../tcp_state.bpf.h"
#include "tcpstates.h"

static __always_inline void tell(void *ctx, struct sock *sk, const struct sock_entry *entry,
				 struct state_event *e, bool direct)
{
	if (!conn_read(&e->conn, sk, direct) || !asked_for(conn_wanted(&e->conn)))
		return;
	e->socket = (__u64)sk;
	if (entry)
		e->owner = entry->owner;
	event_output(ctx, e, sizeof(*e));
}

static __always_inline void tell_held(void *ctx, struct sock *sk, struct sock_entry *entry,
				      bool direct)
{
	struct state_event e = {};

	if (!entry || !entry->notes.held_ns)
		return;
	e.time_ns = entry->notes.held_ns;
	e.span_ns = entry->notes.held_span_ns;
	e.old_state = entry->notes.held_old;
	e.new_state = entry->notes.held_new;
	entry->notes.held_ns = 0;
	tell(ctx, sk, entry, &e, direct);
}

static __always_inline int changed(void *ctx, struct sock *sk, int old_state, int new_state,
				   bool direct)
{
	struct state_event e = {};
	struct sock_entry *entry;

	if (!is_tcp(sk, direct))
		return 0;
	entry = sock_at_state(sk, new_state, direct);
	e.time_ns = bpf_ktime_get_ns();
	if (entry) {
		if (entry->notes.since_ns)
			e.span_ns = time_between(entry->notes.since_ns, e.time_ns);
		entry->notes.since_ns = e.time_ns;
	}
	if (!sock_wanted(entry))
		return 0;
	tell_held(ctx, sk, entry, direct);
	if (entry && (new_state == TCP_SYN_SENT || new_state == TCP_SYN_RECV)) {
		entry->notes.held_ns = e.time_ns;
		entry->notes.held_span_ns = e.span_ns;
		entry->notes.held_old = old_state;
		entry->notes.held_new = new_state;
		return 0;
	}
	e.old_state = old_state;
	e.new_state = new_state;
	tell(ctx, sk, entry, &e, direct);
	return 0;
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

SEC("fentry/tcp_connect")
int BPF_PROG(connect_fentry, struct sock *sk)
{
	tell_held(ctx, sk, sock_find(sk), true);
	return 0;
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(connect_kprobe, struct sock *sk)
{
	tell_held(ctx, sk, sock_find(sk), false);
	return 0;
}
