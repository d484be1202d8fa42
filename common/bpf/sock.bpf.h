/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections from sockets, and which of them are traced: including this file gives a tool the options
 * --port, --lport, --rport, --laddr, --raddr, --ipv4, --ipv6, --netns and --proto. `direct`, a
 * constant: the socket is an argument of a tp_btf or fentry program. 5.10+. */
#pragma once
#include "abi/conn.h"
#include "bpf/core.bpf.h"
#include <bpf/bpf_endian.h>

#define S_IFMT 0170000
#define S_IFSOCK 0140000

const volatile struct conn_filter cb_conns = {};

/* By enum conn_side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONN_SIDES);
	__type(key, __u32);
	__type(value, struct conn_ports);
} cb_ports SEC(".maps");

/* ::ffff:a.b.c.d */
static __always_inline bool is_v4_mapped(const __u32 *addr)
{
	return !addr[0] && !addr[1] && addr[2] == bpf_htonl(0xffff);
}

static __always_inline void conn_addr_v6(__u8 *to, const struct in6_addr *from, bool direct)
{
	__u32 *words = (__u32 *)to;

	if (direct)
		for (int i = 0; i < 4; i++)
			words[i] = from->in6_u.u6_addr32[i];
	else
		bpf_probe_read_kernel(to, 16, from);
}

/* skc_num is 0 again once the socket is closed, and inet_sport is not; while it connects both are 0
 * up to the SYN. */
static __noinline __u16 conn_closed_lport(struct sock *sk)
{
	return bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
}

/* The family of a socket, or 0 if it is neither IPv4 nor IPv6. */
static __always_inline __u16 conn_family(struct sock *sk, bool direct)
{
	__u16 family = READ_FIELD(direct, sk, __sk_common.skc_family);

	return family == CONN_IPV4 || family == CONN_IPV6 ? family : 0;
}

/* Fills all of `c` (aligned to 8 bytes) but its protocol, also from what is no whole socket but begins
 * as one (a request, a connection in TIME_WAIT); false: neither IPv4 nor IPv6. */
static __always_inline bool conn_read_common(struct conn *c, struct sock *sk, bool direct)
{
	__u32 *laddr = (__u32 *)c->laddr, *raddr = (__u32 *)c->raddr;

	c->family = conn_family(sk, direct);
	if (!c->family)
		return false;
	c->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	c->lport = READ_FIELD(direct, sk, __sk_common.skc_num);
	if (!c->lport)
		c->lport = conn_closed_lport(sk);
	c->rport = bpf_ntohs(READ_FIELD(direct, sk, __sk_common.skc_dport));
	if (c->family == CONN_IPV6) {
		conn_addr_v6(c->laddr, &sk->__sk_common.skc_v6_rcv_saddr, direct);
		conn_addr_v6(c->raddr, &sk->__sk_common.skc_v6_daddr, direct);
		if (!is_v4_mapped(raddr) && !(is_v4_mapped(laddr)))
			return true;
		c->family = CONN_IPV4;
	}
	laddr[0] = READ_FIELD(direct, sk, __sk_common.skc_rcv_saddr);
	raddr[0] = READ_FIELD(direct, sk, __sk_common.skc_daddr);
	for (int i = 1; i < 4; i++)
		laddr[i] = raddr[i] = 0;
	return true;
}

/* Fills all of `c` (aligned to 8 bytes); false: no IPv4 or IPv6 socket. */
static __always_inline bool conn_read(struct conn *c, struct sock *sk, bool direct)
{
	if (!conn_read_common(c, sk, direct))
		return false;
	c->protocol = direct ? sk->sk_protocol : BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);
	return true;
}

static __always_inline bool conn_has_port(enum conn_side side, __u16 port)
{
	__u32 key = side;
	struct conn_ports *ports = bpf_map_lookup_elem(&cb_ports, &key);

	return ports && (ports->words[port >> 6 & (CONN_PORT_WORDS - 1)] >> (port & 63) & 1);
}

static __noinline bool conn_ports_wanted(__u16 lport, __u16 rport)
{
	if (cb_conns.by_port[CONN_LOCAL] && !conn_has_port(CONN_LOCAL, lport))
		return false;
	if (cb_conns.by_port[CONN_REMOTE] && !conn_has_port(CONN_REMOTE, rport))
		return false;
	return !cb_conns.by_port[CONN_EITHER] || conn_has_port(CONN_EITHER, lport) ||
	       conn_has_port(CONN_EITHER, rport);
}

static __always_inline bool conn_in(const volatile struct conn_subnet *subnets, __u32 n, __u16 family,
				    const __u8 *addr)
{
	__u64 high = *(__u64 *)addr, low = *(__u64 *)(addr + 8);

	for (__u32 i = 0; i < CONN_SUBNETS && i < n; i++)
		if (subnets[i].family == family &&
		    (high & subnets[i].mask[0]) == subnets[i].addr[0] &&
		    (low & subnets[i].mask[1]) == subnets[i].addr[1])
			return true;
	return false;
}

static __noinline bool conn_addrs_wanted(const struct conn *c)
{
	if (!c)
		return false;
	if (cb_conns.laddrs && !conn_in(cb_conns.laddr, cb_conns.laddrs, c->family, c->laddr))
		return false;
	return !cb_conns.raddrs || conn_in(cb_conns.raddr, cb_conns.raddrs, c->family, c->raddr);
}

/* Whether the connection is traced; does not count. */
static __always_inline bool conn_wanted(const struct conn *c)
{
	if (!cb_conns.any)
		return true;
	if (cb_conns.family && cb_conns.family != c->family)
		return false;
	if (cb_conns.protocol && cb_conns.protocol != c->protocol)
		return false;
	if (cb_conns.netns && cb_conns.netns != c->netns)
		return false;
	if ((cb_conns.by_port[CONN_LOCAL] || cb_conns.by_port[CONN_REMOTE] ||
	     cb_conns.by_port[CONN_EITHER]) &&
	    !conn_ports_wanted(c->lport, c->rport))
		return false;
	return !(cb_conns.laddrs || cb_conns.raddrs) || conn_addrs_wanted(c);
}
