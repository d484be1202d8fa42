// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/hist.bpf.h"
#include "bpf/sock.bpf.h"
#include "bpf/where.bpf.h"
#include "tcpsynbl.h"

const volatile struct tcpsynbl_config cfg = {};
HISTS(struct synbl_key, 8192)

#define ETH_P_IP 0x0800

static __always_inline int count(void *ctx, struct sock *listener, __u32 type, __u32 length, __u32 limit,
				 bool direct)
{
	struct synbl_key key = { .limit = limit, .type = type };

	if (cb_conns.any || cb_where_on || cfg.by_listener) {
		struct synbl_event e = { .length = length, .limit = limit, .type = type };

		if (!conn_read(&e.conn, listener, direct) || !asked_for(conn_wanted(&e.conn)) ||
		    !where_holds(ctx, &e, sizeof(e)))
			return 0;
		if (cfg.by_listener) {
			key.family = e.conn.family;
			key.port = e.conn.lport;
			__builtin_memcpy(key.addr, e.conn.laddr, sizeof(key.addr));
		}
	}
	hists_count(&key, length, 1);
	return 0;
}

/* The last ACK of a handshake. sk_acceptq_is_full(): there is room for one more than the limit. */
static __always_inline int completed(void *ctx, struct sock *sk, bool direct)
{
	__u32 length = READ_FIELD(direct, sk, sk_ack_backlog),
	      limit = READ_FIELD(direct, sk, sk_max_ack_backlog);

	return count(ctx, sk, length > limit ? SYNBL_ACK_DROPPED : SYNBL_QUEUED, length, limit, direct);
}

SEC("fentry/tcp_v4_syn_recv_sock")
int BPF_PROG(v4_fentry, struct sock *sk)
{
	return completed(ctx, sk, true);
}

SEC("kprobe/tcp_v4_syn_recv_sock")
int BPF_KPROBE(v4_kprobe, struct sock *sk)
{
	return completed(ctx, sk, false);
}

/* It calls the other for an IPv4 connection of an IPv6 listener. */
SEC("fentry/tcp_v6_syn_recv_sock")
int BPF_PROG(v6_fentry, struct sock *sk, struct sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) ? 0 : completed(ctx, sk, true);
}

SEC("kprobe/tcp_v6_syn_recv_sock")
int BPF_KPROBE(v6_kprobe, struct sock *sk, struct sk_buff *skb)
{
	return BPF_CORE_READ(skb, protocol) == bpf_htons(ETH_P_IP) ? 0 : completed(ctx, sk, false);
}

/* A SYN. The kernel drops it without a word (no kfree_skb): it counts TcpExtListenOverflows. */
static __always_inline int asked(void *ctx, struct sock *sk, bool direct)
{
	__u32 length = READ_FIELD(direct, sk, sk_ack_backlog),
	      limit = READ_FIELD(direct, sk, sk_max_ack_backlog);

	return length > limit ? count(ctx, sk, SYNBL_SYN_DROPPED, length, limit, direct) : 0;
}

SEC("fentry/tcp_conn_request")
int BPF_PROG(syn_fentry, void *ops, void *af_ops, struct sock *sk)
{
	return asked(ctx, sk, true);
}

SEC("kprobe/tcp_conn_request")
int BPF_KPROBE(syn_kprobe, void *ops, void *af_ops, struct sock *sk)
{
	return asked(ctx, sk, false);
}
