/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet, from its sk_buff: what that says, and what the packet itself says. 5.10+. */
#pragma once
#include "bpf/sock.bpf.h"

/* What a program read of a sk_buff. */
struct skb_seen {
	__u64 skb, head, dev, sk;
	__u64 ifname[2];
	__u64 location;        /* of drops and ends */
	__u64 state, entries;  /* of netfilter: struct nf_hook_state, nf_hook_entries */
	__s32 verdict;
	__u32 bytes;           /* skb->len */
	__u32 tail;            /* what is in the memory at `head` ends here */
	__u32 mark, ifindex, netns, reason;
	__s32 data, network;   /* offsets from `head` */
	__u16 inner;           /* the same, of the network header inside of a tunnel's; may be none */
	__u16 ethertype;       /* in host order */
	__u16 function;        /* deep mode: its number and 1 */
	__u8 hook;
	__u8 is_whole;         /* read_rest() has been */
	__u8 is_unknown_place; /* `dev` was none */
	__u8 is_wanted;        /* the filter selects it */
	__u8 is_end;           /* the sk_buff is freed */
	__u8 unused[5];
};

/* What the packet itself says. */
struct skb_packet {
	struct conn conn __attribute__((aligned(8)));
	__u32 seq, ack; /* TCP; ICMP: sequence; UDP: length; later fragments: offset */
	__s32 header;   /* where its network header is, as an offset from skb->head */
	__u16 ip_id, icmp_id;
	__u8 icmp_type, icmp_code, has_echo, tcp_flags, ttl;
	__u8 unused[7];
};

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8

#define IPPROTO_HOPBYHOP 0
#define IPPROTO_IPV6_ROUTING 43
#define IPPROTO_IPV6_FRAGMENT 44
#define IPPROTO_V6_ICMP 58
#define IPPROTO_IPV6_OPTIONS 60
#define IPV6_EXTENSIONS 6 /* as many are skipped */

#define NS_FIRST 0xefffff00 /* namespaces have numbers from here on (linux/proc_ns.h) */

/* A pointer as a number: of a pointer with a type the verifier lets nobody compute anything, and 7.2 gives
 * pointers to bytes a type too. Swapping bytes makes a number of it; the order of this machine swaps
 * none. */
static __always_inline __u64 as_number(const void *pointer)
{
	__u64 number = (__u64)pointer;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	asm volatile("%0 = le64 %0" : "+r"(number));
#else
	asm volatile("%0 = be64 %0" : "+r"(number));
#endif
	return number;
}

/* The part of struct sk_buff from `inner_network_header` to `data`, some 40 bytes on all kernels (v5.10 to v7.2), is
 * read at once where each member by itself would cost a helper's call. */
#define SKB_PART 64
#define SKB_PART_BEGIN (bpf_core_field_offset(struct sk_buff, inner_network_header) & ~7u)
static __always_inline void *place_in_part(__u8 *part, __u32 offset, __u32 size)
{
	__u64 at = (offset - SKB_PART_BEGIN) & (SKB_PART - size);

	barrier_var(at); /* else a sum becomes an OR, which the verifier refuses */
	return part + at;
}
#define SKB_IN_PART(part, type, field) \
	(*(type *)place_in_part(part, bpf_core_field_offset(struct sk_buff, field), sizeof(type)))

/* The rest of what a packet that is recorded needs; for others a filter may ask for it. */
static __noinline int read_rest(struct skb_seen *s)
{
	struct net_device *dev;
	struct sk_buff *skb;
	struct sock *sk;

	if (!s)
		return 0;
	skb = (void *)s->skb;
	if (!s->is_whole) {
		s->is_whole = true;
		s->dev = (__u64)BPF_CORE_READ(skb, dev);
		s->bytes = BPF_CORE_READ(skb, len);
		s->mark = BPF_CORE_READ(skb, mark);
		if (!s->sk)
			s->sk = (__u64)BPF_CORE_READ(skb, sk);
		if ((__s64)s->dev < 0) {
			dev = (void *)s->dev;
			s->ifindex = BPF_CORE_READ(dev, ifindex);
			s->netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
			bpf_probe_read_kernel(s->ifname, sizeof(s->ifname), dev->name);
		}
	}
	/* In a protocol's queues the place of skb->dev is used for other things (struct sk_buff: a union of
	 * dev, dev_scratch and the node of a tree). A device is one if its namespace has the number of
	 * one. */
	if ((s->netns >= NS_FIRST && (__s32)s->ifindex > 0) || s->is_unknown_place)
		return 0;
	s->is_unknown_place = true;
	s->ifname[0] = s->ifname[1] = 0;
	sk = (void *)s->sk;
	s->ifindex = BPF_CORE_READ(skb, skb_iif);
	s->netns = sk ? BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) : 0;
	return 0;
}

/* `direct`, a constant: the sk_buff is an argument of a tp_btf or fentry program, which reads without a
 * helper. `is_at_data`: what receives has not yet noted where the network header is. */
static __always_inline void read_skb(struct skb_seen *s, struct sk_buff *skb, bool is_at_data,
				     bool direct)
{
	struct net_device *dev;

	__builtin_memset(s, 0, sizeof(*s));
	s->skb = as_number(skb);
	if (!direct) {
		__u8 part[SKB_PART] __attribute__((aligned(8)));

		bpf_probe_read_kernel(part, sizeof(part), (void *)skb + SKB_PART_BEGIN);
		s->head = SKB_IN_PART(part, __u64, head);
		s->data = SKB_IN_PART(part, __u64, data) - s->head;
		s->tail = SKB_IN_PART(part, __u32, tail);
		s->network = is_at_data ? s->data : SKB_IN_PART(part, __u16, network_header);
		s->inner = SKB_IN_PART(part, __u16, inner_network_header);
		s->ethertype = bpf_ntohs(SKB_IN_PART(part, __u16, protocol));
		return;
	}
	s->head = as_number(skb->head);
	s->data = as_number(skb->data) - s->head;
	s->tail = skb->tail;
	s->network = is_at_data ? s->data : skb->network_header;
	s->inner = skb->inner_network_header;
	s->ethertype = bpf_ntohs(skb->protocol);
	s->is_whole = true;
	s->bytes = skb->len;
	s->mark = skb->mark;
	s->sk = as_number(skb->sk);
	dev = skb->dev;
	s->dev = as_number(dev);
	if ((__s64)s->dev < 0) {
		s->ifindex = dev->ifindex;
		s->netns = dev->nd_net.net->ns.inum;
		s->ifname[0] = *(__u64 *)dev->name;
		s->ifname[1] = *(__u64 *)(dev->name + 8);
	}
}

/* `l4`: the first 16 bytes behind the network header, `linear`: how many of them are there. */
static __always_inline void parse_l4(struct skb_packet *p, const __u32 *l4, __s32 linear)
{
	const __u8 *bytes = (const __u8 *)l4;

	if (linear < 8)
		return;
	switch (p->conn.protocol) {
	case CONN_TCP:
		p->seq = l4[1];
		p->ack = l4[2];
		p->tcp_flags = linear > 13 ? bytes[13] : 0;
		p->conn.lport = bpf_ntohs(l4[0]);
		p->conn.rport = bpf_ntohs(l4[0] >> 16);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_V6_ICMP:
		p->icmp_type = bytes[0];
		p->icmp_code = bytes[1];
		/* Echo and its reply. */
		p->has_echo = p->conn.protocol == IPPROTO_ICMP ? !bytes[0] || bytes[0] == 8 :
								 bytes[0] >> 1 == 64;
		if (p->has_echo)
			p->icmp_id = bytes[4] << 8 | bytes[5];
		p->seq = l4[1] >> 16;
		break;
	case CONN_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		p->seq = l4[1] & 0xffff;
		p->conn.lport = bpf_ntohs(l4[0]);
		p->conn.rport = bpf_ntohs(l4[0] >> 16);
		break;
	}
}

/* Behind the extensions of IPv6; their offset from the network header, or -1: nothing of a transport
 * protocol follows. */
static __noinline __s32 skip_extensions(struct skb_packet *p, __u64 header)
{
	__s32 at = 40;
	__u8 next[4];

	if (!p)
		return -1;
	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		__u16 kind = p->conn.protocol;

		if (kind != IPPROTO_HOPBYHOP && kind != IPPROTO_IPV6_ROUTING &&
		    kind != IPPROTO_IPV6_FRAGMENT && kind != IPPROTO_IPV6_OPTIONS)
			return at;
		if (bpf_probe_read_kernel(next, sizeof(next), (void *)header + at))
			return -1;
		p->conn.protocol = next[0];
		if (kind != IPPROTO_IPV6_FRAGMENT) {
			at += (next[1] + 1) * 8;
			continue;
		}
		at += 8;
		p->seq = (next[2] << 8 | next[3]) & 0xfff8;
		if (p->seq)
			return -1;
	}
	return -1;
}

/* The transport header where it does not follow a plain header. */
static __noinline int parse_behind(struct skb_packet *p, const struct skb_seen *s, __s32 l4)
{
	__u32 rest[4];

	if (!p || !s)
		return 0;
	if (p->conn.family == CONN_IPV6)
		l4 = skip_extensions(p, s->head + p->header);
	if (l4 > 0 && !bpf_probe_read_kernel(rest, sizeof(rest), (void *)s->head + p->header + l4))
		parse_l4(p, rest, (__s32)s->tail - p->header - l4);
	return 0;
}

/* Fills the rest of `p`, which is 0, from the header at p->header; of a packet that is not IP, its
 * conn.family is 0. What is read lies within the packet's memory even where the packet is shorter: 320
 * bytes of it belong to its end (struct skb_shared_info). One read: most packets are rejected by what
 * these bytes say. */
static __always_inline void parse_ip(struct skb_packet *p, const struct skb_seen *s)
{
	__u32 words[14];
	const __u8 *bytes = (const __u8 *)words;
	__s32 linear = (__s32)s->tail - p->header;
	__u16 fragment;

	if (p->header <= 0 || p->header == 0xffff ||
	    bpf_probe_read_kernel(words, sizeof(words), (void *)s->head + p->header))
		return;
	if (bytes[0] >> 4 == 4) {
		p->conn.family = CONN_IPV4;
		p->conn.protocol = bytes[9];
		p->ip_id = bytes[4] << 8 | bytes[5];
		p->ttl = bytes[8];
		*(__u32 *)p->conn.laddr = words[3];
		*(__u32 *)p->conn.raddr = words[4];
		fragment = (bytes[6] << 8 | bytes[7]) & 0x1fff;
		p->seq = fragment;
		if (fragment)
			return;
		if ((bytes[0] & 15) == 5)
			parse_l4(p, words + 5, linear - 20);
		else
			parse_behind(p, s, (bytes[0] & 15) * 4);
	} else if (bytes[0] >> 4 == 6) {
		p->conn.family = CONN_IPV6;
		p->conn.protocol = bytes[6];
		p->ttl = bytes[7];
		for (int i = 0; i < 4; i++) {
			((__u32 *)p->conn.laddr)[i] = words[2 + i];
			((__u32 *)p->conn.raddr)[i] = words[6 + i];
		}
		if (p->conn.protocol == CONN_TCP || p->conn.protocol == CONN_UDP)
			parse_l4(p, words + 10, linear - 40);
		else
			parse_behind(p, s, 0);
	}
}

/* `may_have_tag`: what receives may begin with that of a VLAN. */
static __always_inline void parse(struct skb_packet *p, const struct skb_seen *s, bool may_have_tag)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->conn.netns = s->netns;
	p->header = s->network;
	if (s->ethertype == ETHERTYPE_VLAN || s->ethertype == ETHERTYPE_QINQ) {
		if (may_have_tag)
			p->header += 4;
	} else if (s->ethertype != ETHERTYPE_IPV4 && s->ethertype != ETHERTYPE_IPV6)
		return;
	parse_ip(p, s);
}
