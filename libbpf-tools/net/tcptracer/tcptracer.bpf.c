// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "../connect_call.bpf.h"
#include "../tcp.bpf.h"
#include "../tcp_destroy.bpf.h"
#include "tcptracer.h"

/* cb_owners has the sockets whose close is shown: those that connected or were accepted, and older
 * ones that a process holds. Of MPTCP these are the socket that the client connects by, and the
 * connection that the server accepts. */

static __always_inline void connect_ended(void *ctx, struct sock *sk, struct connect_event *e)
{
	struct tracer_event t = {
		.time_ns = e->time_ns,
		.conn = e->conn,
		.owner = e->owner,
		.error = e->error,
		.type = TRACE_CONNECT,
		.result = e->result,
	};

	event_output(ctx, &t, sizeof(t));
}

static __always_inline void send(void *ctx, struct sock *sk, const struct sock_entry *entry,
				 enum tracer_type type, bool direct)
{
	struct tracer_event t = {};

	if (!conn_read(&t.conn, sk, direct) || !asked_for(conn_wanted(&t.conn)))
		return;
	t.time_ns = bpf_ktime_get_ns();
	if (entry)
		t.owner = entry->owner;
	t.type = type;
	t.result = CONNECT_RESULTS;
	if (type == TRACE_CLOSE)
		t.error = READ_FIELD(direct, sk, sk_err);
	event_output(ctx, &t, sizeof(t));
}

static __always_inline int connecting(struct sock *sk, bool direct)
{
	sock_own(sk, direct);
	return connect_begins(sk, direct);
}

static __always_inline int accepted(void *ctx, struct sock *sk, bool direct)
{
	struct sock_entry *entry;

	if (!is_tcp(sk, direct))
		return 0;
	entry = sock_own(sk, direct);
	if (sock_wanted(entry))
		send(ctx, sk, entry, TRACE_ACCEPT, direct);
	/* Its client has reset it while it waited to be accepted. */
	if (READ_FIELD(direct, sk, __sk_common.skc_state) == TCP_CLOSE && sock_wanted(entry))
		send(ctx, sk, entry, TRACE_CLOSE, direct);
	return 0;
}

static __always_inline int changed(void *ctx, struct sock *sk, int old_state, int new_state,
				   bool direct)
{
	struct sock_entry *entry;

	/* Whoever connects by a socket is its owner, even if another process holds it, too. */
	if (new_state == TCP_SYN_SENT)
		sock_forget(sk);
	if (old_state == TCP_SYN_SENT || old_state == TCP_SYN_RECV)
		return connect_changed(ctx, sk, old_state, new_state, direct);
	if (new_state != TCP_CLOSE || old_state == TCP_LISTEN || old_state == TCP_CLOSE)
		return 0;
	entry = sock_find(sk);
	if (entry && sock_wanted(entry))
		send(ctx, sk, entry, TRACE_CLOSE, direct);
	return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(connect_fentry, struct sock *sk)
{
	return connecting(sk, true);
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(connect_kprobe, struct sock *sk)
{
	return connecting(sk, false);
}

SEC("fentry/security_sock_graft")
int BPF_PROG(graft_fentry, struct sock *sk)
{
	return accepted(ctx, sk, true);
}

SEC("kprobe/security_sock_graft")
int BPF_KPROBE(graft_kprobe, struct sock *sk)
{
	return accepted(ctx, sk, false);
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
