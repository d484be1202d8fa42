// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/top.bpf.h"
#include "../tcp_owner.bpf.h"
#include "tcpretrans.h"

const volatile struct tcpretrans_config cfg = {};

TOP(struct retrans_key, __u64, 10240)

#define TCP_CA_RECOVERY 3        /* enum tcp_ca_state, uapi/linux/tcp.h */
#define TCP_CA_LOSS 4
#define ICSK_TIME_LOSS_PROBE 5   /* net/inet_connection_sock.h, v5.10 to v7.2 */

/* Since 7.0 the tracepoint fires also where nothing was sent, and says why. */
struct trace_event_raw_tcp_retransmit_skb___v7 {
	int err;
} __attribute__((preserve_access_index));

static __always_inline bool has_error(void)
{
	return bpf_core_field_exists(((struct trace_event_raw_tcp_retransmit_skb___v7 *)0)->err);
}

/* tcp_write_timer_handler() clears what its timer was for before a segment is sent again, but not if
 * that is a tail loss probe; tcp_enter_loss() comes before. While an acknowledgement is processed, a
 * timer is still set, perhaps that of a probe: the state comes first. */
static __always_inline __u8 type_of(struct sock *sk, int state)
{
	struct inet_connection_sock *icsk = (void *)sk;
	__u8 pending = BPF_CORE_READ(icsk, icsk_pending);
	__u8 congestion = BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state);

	if (state == TCP_SYN_SENT)
		return RETRANS_SYN;
	if (congestion == TCP_CA_LOSS)
		return pending ? RETRANS_LOSS : RETRANS_RTO;
	if (congestion == TCP_CA_RECOVERY)
		return RETRANS_FAST;
	return pending == ICSK_TIME_LOSS_PROBE ? RETRANS_TLP : RETRANS_OTHER;
}

/* `of`: the socket that has the addresses. `owned`: the one that has an owner. */
static __always_inline bool begin(struct retrans_event *e, struct sock *of, struct sock *owned)
{
	struct sock_entry *entry = sock_find(owned);

	if (!sock_wanted(entry))
		return false;
	e->conn.protocol = CONN_TCP;
	if (!conn_read_common(&e->conn, of, false) || !asked_for(conn_wanted(&e->conn)))
		return false;
	if (entry)
		e->owner = entry->owner;
	e->time_ns = bpf_ktime_get_ns();
	return true;
}

static __always_inline void finish(void *ctx, struct retrans_event *e)
{
	if (cfg.counts) {
		struct retrans_key key = { .conn = e->conn, .owner = e->owner };
		__u64 *n;
		bool made;

		if (!where_holds(ctx, e, sizeof(*e)))
			return;
		n = top_entry(&key, &made);
		if (n)
			__sync_fetch_and_add(n, 1);
		return;
	}
	event_output(ctx, e, sizeof(*e));
}

static __always_inline int sent_again(void *ctx, struct sock *sk, struct sk_buff *skb, int error)
{
	struct tcp_skb_cb *cb = (void *)skb->cb;
	struct retrans_event e = {};

	if (!asked_for(!error || cfg.failed) || !begin(&e, sk, sk))
		return 0;
	e.error = -error;
	e.state = BPF_CORE_READ(sk, __sk_common.skc_state);
	e.type = type_of(sk, e.state);
	e.seq = BPF_CORE_READ(cb, seq);
	e.end_seq = BPF_CORE_READ(cb, end_seq);
	e.segments = BPF_CORE_READ(cb, tcp_gso_segs);
	finish(ctx, &e);
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(again_tp_btf, struct sock *sk, struct sk_buff *skb)
{
	return sent_again(ctx, sk, skb, has_error() ? (int)ctx[2] : 0);
}

SEC("raw_tp/tcp_retransmit_skb")
int again_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return sent_again(ctx, (void *)ctx->args[0], (void *)ctx->args[1],
			  has_error() ? (int)ctx->args[2] : 0);
}

/* The request of a connection is no socket yet: it begins as one, and that is all. */
static __always_inline int synack_again(void *ctx, struct sock *listener, struct request_sock *request)
{
	struct retrans_event e = {};

	if (!begin(&e, (struct sock *)request, listener))
		return 0;
	e.state = TCP_NEW_SYN_RECV;
	e.type = RETRANS_SYNACK;
	e.seq = BPF_CORE_READ((struct tcp_request_sock *)request, snt_isn);
	e.end_seq = e.seq + 1;
	e.segments = 1;
	finish(ctx, &e);
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(synack_tp_btf, struct sock *sk, struct request_sock *request)
{
	return synack_again(ctx, sk, request);
}

SEC("raw_tp/tcp_retransmit_synack")
int synack_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return synack_again(ctx, (void *)ctx->args[0], (void *)ctx->args[1]);
}

static __always_inline int probe(void *ctx, struct sock *sk)
{
	struct tcp_sock *tcp = (void *)sk;
	struct retrans_event e = {};

	/* One is on its way: none is sent (tcp_send_loss_probe()). */
	if (BPF_CORE_READ(tcp, tlp_high_seq) || !begin(&e, sk, sk))
		return 0;
	e.state = BPF_CORE_READ(sk, __sk_common.skc_state);
	e.type = RETRANS_PROBE;
	e.seq = e.end_seq = BPF_CORE_READ(tcp, snd_nxt);
	finish(ctx, &e);
	return 0;
}

SEC("fentry/tcp_send_loss_probe")
int BPF_PROG(probe_fentry, struct sock *sk)
{
	return probe(ctx, sk);
}

SEC("kprobe/tcp_send_loss_probe")
int BPF_KPROBE(probe_kprobe, struct sock *sk)
{
	return probe(ctx, sk);
}
