/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets on their way, by the address of their sk_buff, and of the memory that clones share. Most of those
 * that TCP takes end without a trace, and the memory of a packet is soon another's: what no hop changes,
 * address translation included, says whether it is still this one. 5.10+. */
#pragma once
#include "skb_packet.bpf.h"

struct skb_way {
	__u64 packet;
	__u64 last_ns;
	__u64 head;      /* its memory */
	__u64 first_dev; /* where it was seen first */
	__u32 seq, ack;  /* of TCP; else what else there is: struct skb_packet */
	__u32 netns;     /* where it was seen last, as far as it is known */
	__u16 ip_id;
	__u16 header;    /* where its network header was, from `head` */
	__u8 protocol;
	__u8 first_ttl, first_hook, last_hook;
	__u8 unused[4];
};

#define WAY_ENDED 0xff /* skb_way.last_hook: its sk_buff is another packet's from here on */
#define WAYS 16384

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WAYS);
	__type(key, __u64);
	__type(value, struct skb_way);
} ways SEC(".maps");

/* The address of a sk_buff, by that of its memory. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WAYS);
	__type(key, __u64);
	__type(value, __u64);
} ways_by_head SEC(".maps");

/* How many entries were made in the two: those that are no longer there in the end made room. */
__u64 ways_made, heads_made;

/* Whether an address is in one of the two at all: most packets are rejected, and need no look then (two
 * are 180 ns of the 1000 that a rejected packet may cost). Never cleared: packets get the same memory
 * again and again. */
#define FOLLOWED_BITS 14
__u8 maybe_followed[1 << FOLLOWED_BITS];

static __always_inline __u8 *place_of(__u64 address)
{
	return &maybe_followed[address * 0x9e3779b97f4a7c15 >> (64 - FOLLOWED_BITS)];
}

static __always_inline struct skb_way *find_way(__u64 skb)
{
	return *place_of(skb) ? bpf_map_lookup_elem(&ways, &skb) : NULL;
}

/* Of a clone of a packet. */
static __always_inline struct skb_way *find_way_of_head(__u64 head)
{
	__u64 *skb = *place_of(head) ? bpf_map_lookup_elem(&ways_by_head, &head) : NULL;

	return skb ? bpf_map_lookup_elem(&ways, skb) : NULL;
}

static __always_inline bool says_same(const struct skb_way *way, const struct skb_packet *p)
{
	return way->seq == p->seq && way->ack == p->ack && way->ip_id == p->ip_id &&
	       way->protocol == (__u8)p->conn.protocol;
}

/* What tunnels put before a packet: from 20 bytes (IPIP) to 40 of IPv6, 8 of UDP, 8 of VXLAN with 14 of
 * Ethernet, and options. */
#define TUNNEL_LEAST 20
#define TUNNEL_MOST 120

/* Whether the packet at `header` within the same memory is that of `way`: as parse() and says_same(), for
 * plain headers. */
static __noinline int holds_way_at(struct skb_way *way, const struct skb_seen *s, __s32 header)
{
	__u32 words[14], l4[2];
	const __u8 *bytes = (const __u8 *)words;
	__u16 ip_id = 0;
	__u8 protocol;

	if (!way || !s || bpf_probe_read_kernel(words, sizeof(words), (void *)s->head + header))
		return 0;
	if (bytes[0] == 0x45) {
		protocol = bytes[9];
		ip_id = bytes[4] << 8 | bytes[5];
		l4[0] = words[6];
		l4[1] = words[7];
	} else if (bytes[0] >> 4 == 6) {
		protocol = bytes[6];
		l4[0] = words[11];
		l4[1] = words[12];
	} else {
		return 0;
	}
	if (protocol != way->protocol || ip_id != way->ip_id)
		return 0;
	if (protocol == CONN_TCP)
		return l4[0] == way->seq && l4[1] == way->ack;
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_V6_ICMP)
		return l4[0] >> 16 == way->seq;
	return (l4[0] & 0xffff) == way->seq;
}

/* A tunnel put its own header before the packet of `way`, or took it away: the packet is inside of this
 * one, or this one was inside of it, and what was before it still lies there. */
static __noinline int is_tunneled(struct skb_way *way, const struct skb_packet *p,
				  const struct skb_seen *s)
{
	__s32 inside, taken;

	if (!way || !p || !s || !p->conn.family || way->head != s->head)
		return 0;
	inside = (__s32)s->inner - p->header;
	if (inside >= TUNNEL_LEAST && inside <= TUNNEL_MOST && holds_way_at(way, s, s->inner))
		return 1;
	taken = p->header - way->header;
	if (taken < TUNNEL_LEAST || taken > TUNNEL_MOST || !holds_way_at(way, s, way->header))
		return 0;
	way->seq = p->seq;
	way->ack = p->ack;
	way->ip_id = p->ip_id;
	way->protocol = p->conn.protocol;
	return 1;
}

static __always_inline void note_head(const struct skb_seen *s)
{
	__u64 *skb = bpf_map_lookup_elem(&ways_by_head, &s->head);

	*place_of(s->head) = 1;
	if (skb) {
		if (*skb != s->skb)
			*skb = s->skb;
	} else if (!bpf_map_update_elem(&ways_by_head, &s->head, &s->skb, BPF_NOEXIST)) {
		__sync_fetch_and_add(&heads_made, 1);
	}
}

static __always_inline void note_way(struct skb_way *known, const struct skb_way *way,
				     const struct skb_seen *s)
{
	*place_of(s->skb) = 1;
	if (known)
		*known = *way;
	else if (!bpf_map_update_elem(&ways, &s->skb, way, BPF_NOEXIST))
		__sync_fetch_and_add(&ways_made, 1);
	note_head(s);
}
