// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "../tcp_owner.bpf.h"
#include "tcpdrop.h"

const volatile struct tcpdrop_config cfg = {};

EVENT_SCRATCH(struct drop_event, 1)

#define IP_OFFSET 0x1fff      /* of a fragment that is not the first */
#define IPPROTO_FRAGMENT 44
#define NOT_SET 0xffff /* skb->network_header */

/* 6.11: the socket that a packet was for. */
struct trace_event_raw_kfree_skb___v6_11 {
	const void *rx_sk;
} __attribute__((preserve_access_index));

/* 5.17, with the reason. */
enum skb_drop_reason___v5_17 {
	SKB_DROP_REASON_NOT_SPECIFIED___v5_17 = 1,
};

static __always_inline bool has_reason(void)
{
	return bpf_core_type_exists(enum skb_drop_reason___v5_17);
}

static __always_inline bool has_rx_sk(void)
{
	return bpf_core_field_exists(((struct trace_event_raw_kfree_skb___v6_11 *)0)->rx_sk);
}

/* The addresses of the packet, its source as the local side, and where its transport header is, or 0.
 * False: it has no IP header (yet). Its protocol is not set on the way out: the version tells. */
static __always_inline bool read_network(struct drop_event *e, struct sk_buff *skb, void *head,
					 __u32 *transport)
{
	__u32 network = BPF_CORE_READ(skb, network_header);
	struct conn *c = &e->conn;
	struct iphdr v4;
	struct ipv6hdr v6;

	*transport = 0;
	if (!network || network == NOT_SET ||
	    bpf_probe_read_kernel(&v4, sizeof(v4), head + network))
		return false;
	if (v4.version == 4 && v4.ihl >= 5) {
		c->family = CONN_IPV4;
		c->protocol = v4.protocol;
		*(__u32 *)c->laddr = v4.saddr;
		*(__u32 *)c->raddr = v4.daddr;
		if (!(bpf_ntohs(v4.frag_off) & IP_OFFSET))
			*transport = network + v4.ihl * 4;
		return true;
	}
	if (v4.version != 6 || bpf_probe_read_kernel(&v6, sizeof(v6), head + network))
		return false;
	c->family = CONN_IPV6;
	c->protocol = v6.nexthdr;
	__builtin_memcpy(c->laddr, &v6.saddr, 16);
	__builtin_memcpy(c->raddr, &v6.daddr, 16);
	*transport = network + sizeof(v6);
	/* Headers of extension: the kernel has found what follows, if it has come that far. */
	for (int i = 0; i < 4; i++) {
		__u8 next[2];

		if (c->protocol != 0 && c->protocol != 43 && c->protocol != 60)
			break;
		if (bpf_probe_read_kernel(next, sizeof(next), head + *transport))
			break;
		c->protocol = next[0];
		*transport += (next[1] + 1) * 8;
	}
	if (c->protocol == IPPROTO_FRAGMENT)
		*transport = 0;
	return true;
}

static __always_inline void read_transport(struct drop_event *e, void *at)
{
	struct tcphdr tcp;

	if (e->conn.protocol != CONN_TCP && e->conn.protocol != CONN_UDP)
		return;
	if (bpf_probe_read_kernel(&tcp, 4, at)) /* both begin with the ports */
		return;
	e->conn.lport = bpf_ntohs(tcp.source);
	e->conn.rport = bpf_ntohs(tcp.dest);
	if (e->conn.protocol == CONN_TCP)
		bpf_probe_read_kernel(&e->flags, 1, at + 13);
}

static __always_inline bool is_wanted(__u16 protocol)
{
	return cfg.which == DROP_ALL || protocol == CONN_TCP ||
	       (cfg.which == DROP_TCP_UDP && protocol == CONN_UDP);
}

static __always_inline void swap_sides(struct conn *c)
{
	__u64 *l = (__u64 *)c->laddr, *r = (__u64 *)c->raddr, word;
	__u16 port = c->lport;

	for (int i = 0; i < 2; i++) {
		word = l[i];
		l[i] = r[i];
		r[i] = word;
	}
	c->lport = c->rport;
	c->rport = port;
}

/* What the packet is, from itself: few have a socket. */
static __noinline bool read_packet(struct drop_event *e, struct sk_buff *skb, struct sock *sk)
{
	void *head = BPF_CORE_READ(skb, head);
	__u32 transport;

	if (!e)
		return false;
	if (!read_network(e, skb, head, &transport)) {
		/* Not wrapped yet: on its way out of a socket. */
		if (!sk || !conn_read_common(&e->conn, sk, false))
			return false;
		e->conn.protocol = BPF_CORE_READ(sk, sk_protocol);
		if (e->conn.protocol == CONN_MPTCP)
			e->conn.protocol = CONN_TCP;
		e->outgoing = true;
		return true;
	}
	if (transport)
		read_transport(e, head + transport);
	e->outgoing = sk && e->conn.lport &&
		      BPF_CORE_READ(sk, __sk_common.skc_num) == e->conn.lport &&
		      bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport)) == e->conn.rport;
	if (!e->outgoing)
		swap_sides(&e->conn);
	return true;
}

static __always_inline int dropped(void *ctx, struct sk_buff *skb, __u64 location, __u32 reason,
				   struct sock *rx_sk)
{
	struct drop_event *e = event_scratch(0);
	struct sock *sk = BPF_CORE_READ(skb, sk);
	struct net_device *dev;
	struct sock_entry *entry;
	__u64 size;

	if (!e)
		return 0;
	if (rx_sk)
		sk = rx_sk;
	if (sk && !conn_family(sk, false))
		return 0; /* of UNIX, netlink and so on */
	__builtin_memset(e, 0, offsetof(struct drop_event, stacks));
	if (!read_packet(e, skb, sk) || !asked_for(is_wanted(e->conn.protocol)))
		return 0;
	entry = sk ? sock_find(sk) : NULL;
	if (!sock_wanted(entry))
		return 0;
	dev = BPF_CORE_READ(skb, dev);
	e->conn.netns = sk  ? BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) :
			dev ? BPF_CORE_READ(dev, nd_net.net, ns.inum) :
			      0;
	if (!asked_for(conn_wanted(&e->conn)))
		return 0;
	if (entry)
		e->owner = entry->owner;
	if (sk)
		e->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	e->time_ns = bpf_ktime_get_ns();
	e->location = location;
	e->reason = reason;
	e->length = BPF_CORE_READ(skb, len);
	size = offsetof(struct drop_event, stacks) + event_stacks_fill(ctx, &e->stacks);
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(drop_tp_btf, struct sk_buff *skb, void *location)
{
	return dropped(ctx, skb, (__u64)location, has_reason() ? (__u32)ctx[2] : DROP_NO_REASON,
		       has_rx_sk() ? (struct sock *)ctx[3] : NULL);
}

SEC("raw_tp/kfree_skb")
int drop_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return dropped(ctx, (void *)ctx->args[0], ctx->args[1],
		       has_reason() ? (__u32)ctx->args[2] : DROP_NO_REASON,
		       has_rx_sk() ? (struct sock *)ctx->args[3] : NULL);
}
