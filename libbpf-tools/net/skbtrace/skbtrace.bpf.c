// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/packet.bpf.h"
#include "../tcp_state.bpf.h"
#include "skbtrace.h"

const volatile struct skbtrace_config cfg = {};

/* A packet on its way. Most of those that TCP takes end without a trace, and the memory of a packet is
 * soon another's: what no hop changes, address translation included, says whether it is still this
 * one. */
struct skb_way {
	__u64 packet;
	__u64 last_ns;
	__u64 head;      /* its memory */
	__u64 first_dev; /* where it was seen first */
	__u32 seq, ack;  /* of TCP; else what else there is: struct skb_packet */
	__u16 ip_id;
	__u8 protocol;
	__u8 first_ttl, first_hook;
	__u8 unused[3];
	__u32 netns; /* where it was seen last, as far as it is known */
};

/* By the address of the sk_buff; and those addresses by that of the packet's memory, which its clones
 * share. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct skb_way);
} ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} ways_by_head SEC(".maps");

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

/* A slot for each hook: its programs do not interrupt each other on a CPU. */
struct skb_scratch {
	struct skb_event event;
	__u64 begun; /* packets that were seen first there */
};
EVENT_SCRATCH(struct skb_scratch, SKB_HOOKS)

/* What a program read of its sk_buff. */
struct skb_seen {
	__u64 skb, head, dev, sk;
	__u64 location;
	__u32 bytes, linear; /* skb->len, and how much of that is in the memory at `head` */
	__u32 mark, ifindex, netns, reason;
	__s32 data, network; /* offsets from `head` */
	__u16 ethertype;     /* in host order */
	__u8 cloned, hook;
};

/* What the packet itself says. */
struct skb_packet {
	struct conn conn __attribute__((aligned(8)));
	__u32 seq, ack; /* TCP; ICMP: sequence; UDP: length; later fragments: offset */
	__u32 bytes;
	__s32 header; /* offset of its network header from the memory's begin */
	__u16 ip_id, icmp_id;
	__u8 icmp_type, icmp_code, has_echo, tcp_flags, ttl;
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

/* Where the packet is: read only for packets that are recorded, and for filters that ask for it.
 *
 * In a protocol's queues the place of skb->dev is used for other things (struct sk_buff: a union of
 * dev, dev_scratch and the node of a tree). A device is one if its namespace has the number of one. */
static __noinline int read_place(struct skb_seen *s)
{
	struct net_device *dev;
	struct sk_buff *skb;
	struct sock *sk;

	if (!s || s->netns)
		return 0;
	dev = (void *)s->dev;
	skb = (void *)s->skb;
	sk = (void *)s->sk;
	if ((__s64)s->dev < 0) {
		s->ifindex = BPF_CORE_READ(dev, ifindex);
		s->netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	}
	if (s->netns >= NS_FIRST && (__s32)s->ifindex > 0)
		return 0;
	s->dev = 0;
	s->ifindex = BPF_CORE_READ(skb, skb_iif);
	s->netns = sk ? BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) : 0;
	return 0;
}

/* The address of the sk_buff that is a tracepoint's first argument, as a number: of a pointer with a type
 * the verifier lets nobody compute anything. */
static __always_inline __u64 address_of_skb(const void *args)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), args);
	return address;
}

/* `sk`: whose it is where the packet does not say so itself; may be NULL. */
static __always_inline void read_skb(struct skb_seen *s, const void *args, struct sk_buff *skb,
				     enum skb_hook hook, struct sock *sk, bool direct)
{
	/* The two follow one another in struct sk_buff (v5.10 to v7.2). As numbers, as address_of_skb():
	 * 7.2 gives pointers to bytes a type too. */
	struct {
		__u64 head, data;
	} memory = {};

	bpf_probe_read_kernel(&memory, sizeof(memory), &skb->head);
	s->skb = address_of_skb(args);
	s->head = memory.head;
	s->dev = (__u64)READ_FIELD(direct, skb, dev);
	s->sk = (__u64)READ_FIELD(direct, skb, sk);
	if (!s->sk)
		s->sk = (__u64)sk;
	s->location = 0;
	s->reason = s->netns = s->ifindex = 0;
	s->bytes = READ_FIELD(direct, skb, len);
	s->linear = s->bytes - READ_FIELD(direct, skb, data_len);
	s->mark = READ_FIELD(direct, skb, mark);
	s->data = memory.data - memory.head;
	s->ethertype = bpf_ntohs(READ_FIELD(direct, skb, protocol));
	s->cloned = direct ? BPF_CORE_READ_BITFIELD(skb, cloned) :
			     BPF_CORE_READ_BITFIELD_PROBED(skb, cloned);
	s->hook = hook;
	/* What receives has not yet noted where the network header is. */
	if (hook == SKB_RX || hook == SKB_RECEIVE)
		s->network = s->data;
	else
		s->network = READ_FIELD(direct, skb, network_header);
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
		p->conn.lport = bytes[0] << 8 | bytes[1];
		p->conn.rport = bytes[2] << 8 | bytes[3];
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
		p->conn.lport = bytes[0] << 8 | bytes[1];
		p->conn.rport = bytes[2] << 8 | bytes[3];
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

/* Fills all of `p`; of a packet that is not IP, its conn.family is 0. What is read lies within the
 * packet's memory even where the packet is shorter: 320 bytes of it belong to its end (struct
 * skb_shared_info). */
static __noinline int parse(struct skb_packet *p, const struct skb_seen *s)
{
	__u32 words[16], rest[4];
	const __u8 *bytes = (const __u8 *)words;
	__u64 header;
	__s32 l4;

	if (!p || !s)
		return 0;
	__builtin_memset(p, 0, sizeof(*p));
	p->conn.netns = s->netns;
	p->bytes = s->bytes + s->data - s->network;
	header = s->head + s->network;
	if ((s->hook == SKB_RX || s->hook == SKB_RECEIVE) &&
	    (s->ethertype == ETHERTYPE_VLAN || s->ethertype == ETHERTYPE_QINQ)) {
		header += 4; /* the tag */
		p->bytes -= 4;
	} else if (s->ethertype != ETHERTYPE_IPV4 && s->ethertype != ETHERTYPE_IPV6 &&
		   s->ethertype != ETHERTYPE_VLAN && s->ethertype != ETHERTYPE_QINQ)
		return 0;
	if (s->network <= 0 || s->network == 0xffff ||
	    bpf_probe_read_kernel(words, sizeof(words), (void *)header))
		return 0;
	p->header = header - s->head;
	if (bytes[0] >> 4 == 4) {
		__u16 fragment = (bytes[6] << 8 | bytes[7]) & 0x1fff;

		p->conn.family = CONN_IPV4;
		p->conn.protocol = bytes[9];
		p->ip_id = bytes[4] << 8 | bytes[5];
		p->ttl = bytes[8];
		*(__u32 *)p->conn.laddr = words[3];
		*(__u32 *)p->conn.raddr = words[4];
		l4 = (bytes[0] & 15) * 4;
		p->seq = fragment;
		if (fragment)
			return 0;
		if (l4 == 20) {
			parse_l4(p, words + 5, s->data + (__s32)s->linear - (__s32)(header - s->head) - l4);
			return 0;
		}
	} else if (bytes[0] >> 4 == 6) {
		p->conn.family = CONN_IPV6;
		p->conn.protocol = bytes[6];
		p->ttl = bytes[7];
		for (int i = 0; i < 4; i++) {
			((__u32 *)p->conn.laddr)[i] = words[2 + i];
			((__u32 *)p->conn.raddr)[i] = words[6 + i];
		}
		l4 = skip_extensions(p, header);
		if (l4 < 0)
			return 0;
	} else
		return 0;
	if (!bpf_probe_read_kernel(rest, sizeof(rest), (void *)header + l4))
		parse_l4(p, rest, s->data + (__s32)s->linear - (__s32)(header - s->head) - l4);
	return 0;
}

/* Whether the options tell a connection's ends apart: then a packet of either direction is one of it. */
static __always_inline bool tells_ends_apart(void)
{
	return cb_conns.laddrs || cb_conns.raddrs || cb_conns.by_port[CONN_LOCAL] ||
	       cb_conns.by_port[CONN_REMOTE];
}

static __noinline int other_direction_wanted(const struct conn *c)
{
	struct conn other __attribute__((aligned(8)));

	if (!c)
		return 0;
	__builtin_memcpy(other.laddr, c->raddr, 16);
	__builtin_memcpy(other.raddr, c->laddr, 16);
	other.netns = c->netns;
	other.lport = c->rport;
	other.rport = c->lport;
	other.family = c->family;
	other.protocol = c->protocol;
	return conn_wanted(&other);
}

static __always_inline bool owner_wanted(const struct skb_seen *s)
{
	struct sock_entry *entry;

	if (!cb_filter.any)
		return true;
	entry = s->sk ? sock_find((struct sock *)s->sk) : NULL;
	return entry && entry->owner.traced;
}

static __always_inline bool dev_wanted(const struct skb_seen *s)
{
	struct net_device *dev = (void *)s->dev;
	__u64 name[2] = {};

	if (!cfg.ifname[0])
		return true;
	if (dev)
		bpf_probe_read_kernel_str(name, sizeof(name), dev->name);
	return name[0] == cfg.ifname[0] && name[1] == cfg.ifname[1];
}

static __noinline int expression_holds(const struct skb_packet *p, const struct skb_seen *s)
{
	struct packet_view view;
	__s32 linear;

	if (!p || !s || !p->conn.family)
		return 0;
	linear = s->data + (__s32)s->linear - p->header;
	view.start = s->head + p->header;
	view.linear = linear > 0 ? linear : 0;
	view.bytes = p->bytes;
	return cb_packet(&view);
}

/* Whether the packet is one that is asked for, by what it is here. */
static __always_inline bool packet_wanted(const struct skb_packet *p, const struct skb_seen *s)
{
	if (cfg.by_protocol && (!p->conn.family || p->conn.protocol != cfg.protocol))
		return false;
	if (cfg.by_icmp_id && (!p->has_echo || p->icmp_id != cfg.icmp_id))
		return false;
	if (cfg.by_mark && (s->mark & cfg.mark_mask) != cfg.mark)
		return false;
	if (!conn_wanted(&p->conn) &&
	    !(tells_ends_apart() && other_direction_wanted(&p->conn)))
		return false;
	return dev_wanted(s) && owner_wanted(s) && (!cfg.by_expression || expression_holds(p, s));
}

/* Whether the packet that is seen is the one of `way`: all that no hop changes is the same, and it is
 * not where that one began, with no fewer hops left to go. */
static __always_inline bool is_same(const struct skb_way *way, const struct skb_packet *p,
				    __u64 dev, const struct skb_seen *s)
{
	if (way->seq != p->seq || way->ack != p->ack || way->ip_id != p->ip_id ||
	    way->protocol != (__u8)p->conn.protocol)
		return false;
	return way->first_hook != s->hook || way->first_dev != dev || p->ttl < way->first_ttl;
}

static __always_inline void note_head(const struct skb_seen *s)
{
	__u64 *skb = bpf_map_lookup_elem(&ways_by_head, &s->head);

	*place_of(s->head) = 1;
	if (!skb)
		bpf_map_update_elem(&ways_by_head, &s->head, &s->skb, BPF_ANY);
	else if (*skb != s->skb)
		*skb = s->skb;
}

static __always_inline void begin(struct skb_way *known, const struct skb_packet *p, __u64 dev,
				  const struct skb_seen *s, const struct skb_event *e)
{
	struct skb_way way = {
		.packet = e->packet,
		.last_ns = e->time_ns,
		.head = s->head,
		.first_dev = dev,
		.seq = p->seq,
		.ack = p->ack,
		.ip_id = p->ip_id,
		.protocol = p->conn.protocol,
		.first_ttl = p->ttl,
		.first_hook = s->hook,
		.netns = s->netns,
	};

	*place_of(s->skb) = 1;
	if (known)
		*known = way;
	else
		bpf_map_update_elem(&ways, &s->skb, &way, BPF_ANY);
	note_head(s);
}

/* The owner of the packet's socket. A packet that is read is in the hands of the task that runs. */
static __always_inline void fill_owner(struct sock_owner *owner, const struct skb_seen *s)
{
	struct sock_entry *entry;

	__builtin_memset(owner, 0, sizeof(*owner));
	if (s->hook == SKB_READ) {
		owner_read(owner, false);
		return;
	}
	entry = s->sk ? sock_find((struct sock *)s->sk) : NULL;
	if (entry)
		*owner = entry->owner;
}

static __always_inline void fill(struct skb_event *e, const struct skb_packet *p,
				 const struct skb_seen *s)
{
	struct net_device *dev = (void *)s->dev;

	e->skb = s->skb;
	e->location = s->location;
	e->conn = p->conn;
	e->bytes = p->bytes;
	e->mark = s->mark;
	e->ifindex = s->ifindex;
	e->reason = s->reason;
	__builtin_memset(e->ifname, 0, sizeof(e->ifname));
	if (dev)
		bpf_probe_read_kernel_str(e->ifname, sizeof(e->ifname), dev->name);
	fill_owner(&e->owner, s);
	e->ethertype = s->ethertype;
	e->icmp_id = p->icmp_id;
	e->icmp_type = p->icmp_type;
	e->icmp_code = p->icmp_code;
	e->tcp_flags = p->tcp_flags;
	e->ttl = p->ttl;
	e->hook = s->hook;
	e->has_echo = p->has_echo;
}

static __noinline int hop(void *ctx, struct skb_seen *s)
{
	struct skb_way *known, *way;
	struct skb_scratch *scratch;
	struct skb_packet p;
	struct skb_event *e;
	bool is_judged, same;
	__u64 size, dev;
	__u32 hook;

	if (!s)
		return 0;
	dev = s->dev; /* which may turn out to be none */
	if (cb_conns.netns || cfg.ifname[0])
		read_place(s);
	parse(&p, s);
	hook = s->hook;
	/* What ends or is read is not always a packet: only those that are followed are of interest. */
	is_judged = hook != SKB_READ && hook != SKB_DONE;
	if (hook == SKB_DROP && !p.conn.family)
		is_judged = false;
	known = way = find_way(s->skb);
	if (!way && s->cloned)
		way = find_way_of_head(s->head);
	same = way && is_same(way, &p, dev, s);
	if (!same && !(is_judged && packet_wanted(&p, s))) {
		if (is_judged)
			count_filtered();
		return 0;
	}
	scratch = event_scratch(hook);
	if (!scratch)
		return 0;
	e = &scratch->event;
	e->time_ns = bpf_ktime_get_ns();
	read_place(s);
	if (same) {
		/* In the queue of a UDP socket it belongs to nothing. */
		if (!s->netns)
			s->netns = way->netns;
		way->netns = s->netns;
		e->packet = way->packet;
		e->span_ns = time_between(way->last_ns, e->time_ns);
		way->last_ns = e->time_ns;
		if (known && way->head != s->head) {
			way->head = s->head;
			note_head(s);
		}
	} else {
		e->packet = (scratch->begun++ * SKB_HOOKS + hook) * ACCOUNT_CPUS +
			    bpf_get_smp_processor_id() + 1;
		e->span_ns = 0;
		begin(known, &p, dev, s, e);
	}
	p.conn.netns = s->netns;
	fill(e, &p, s);
	size = offsetof(struct skb_event, stacks);
	if (cfg.stack == SKB_STACK_ALL || (cfg.stack == SKB_STACK_DROPS && hook == SKB_DROP))
		size += event_stacks_fill(ctx, &e->stacks);
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

static __always_inline int seen(void *ctx, struct sk_buff *skb, enum skb_hook hook, bool direct)
{
	struct skb_seen s;

	read_skb(&s, ctx, skb, hook, NULL, direct);
	return hop(ctx, &s);
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(queue_tp_btf, struct sk_buff *skb)
{
	return seen(ctx, skb, SKB_QUEUE, true);
}

SEC("raw_tp/net_dev_queue")
int queue_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return seen(ctx, (struct sk_buff *)ctx->args[0], SKB_QUEUE, false);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(xmit_tp_btf, struct sk_buff *skb)
{
	return seen(ctx, skb, SKB_TRANSMIT, true);
}

SEC("raw_tp/net_dev_start_xmit")
int xmit_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return seen(ctx, (struct sk_buff *)ctx->args[0], SKB_TRANSMIT, false);
}

SEC("tp_btf/netif_rx")
int BPF_PROG(rx_tp_btf, struct sk_buff *skb)
{
	return seen(ctx, skb, SKB_RX, true);
}

SEC("raw_tp/netif_rx")
int rx_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return seen(ctx, (struct sk_buff *)ctx->args[0], SKB_RX, false);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(receive_tp_btf, struct sk_buff *skb)
{
	return seen(ctx, skb, SKB_RECEIVE, true);
}

SEC("raw_tp/netif_receive_skb")
int receive_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return seen(ctx, (struct sk_buff *)ctx->args[0], SKB_RECEIVE, false);
}

static __always_inline bool is_followed(const void *args)
{
	return find_way(address_of_skb(args));
}

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(read_tp_btf, struct sk_buff *skb)
{
	return is_followed(ctx) ? seen(ctx, skb, SKB_READ, true) : 0;
}

SEC("raw_tp/skb_copy_datagram_iovec")
int read_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)ctx->args[0];

	return is_followed(ctx) ? seen(ctx, skb, SKB_READ, false) : 0;
}

/* v6.4 (dd1b527831a3) gave consume_skb a location, v6.11 (c53795d48ee8) kfree_skb the socket. */
struct trace_event_raw_consume_skb___v6_4 {
	void *location;
} __attribute__((preserve_access_index));

struct trace_event_raw_kfree_skb___v6_11 {
	void *rx_sk;
} __attribute__((preserve_access_index));

enum skb_drop_reason___v5_17 {
	SKB_NOT_DROPPED_YET___v5_17,
};

static __always_inline int done(void *ctx, const __u64 *args)
{
	struct sk_buff *skb = (struct sk_buff *)args[0];
	struct trace_event_raw_consume_skb___v6_4 *record = NULL;
	struct skb_seen s;

	if (!is_followed(args))
		return 0;
	read_skb(&s, args, skb, SKB_DONE, NULL, false);
	if (bpf_core_field_exists(record->location))
		s.location = args[1];
	return hop(ctx, &s);
}

SEC("tp_btf/consume_skb")
int done_tp_btf(__u64 *ctx)
{
	return done(ctx, ctx);
}

SEC("raw_tp/consume_skb")
int done_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return done(ctx, ctx->args);
}

static __always_inline int dropped(void *ctx, const __u64 *args)
{
	struct sk_buff *skb = (struct sk_buff *)args[0];
	struct trace_event_raw_kfree_skb___v6_11 *record = NULL;
	struct sock *sk = NULL;
	struct skb_seen s;

	if (bpf_core_field_exists(record->rx_sk))
		sk = (struct sock *)args[3];
	read_skb(&s, args, skb, SKB_DROP, sk, false);
	s.location = args[1];
	if (bpf_core_type_exists(enum skb_drop_reason___v5_17))
		s.reason = args[2];
	return hop(ctx, &s);
}

SEC("tp_btf/kfree_skb")
int drop_tp_btf(__u64 *ctx)
{
	return dropped(ctx, ctx);
}

SEC("raw_tp/kfree_skb")
int drop_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return dropped(ctx, ctx->args);
}

/* A socket is of the task that makes it (or accepts it: graft): packets are sent and received by
 * whoever runs. */
static __always_inline int made(struct socket *socket, int family, int kern, bool typed)
{
	struct sock *sk = typed ? socket->sk : BPF_CORE_READ(socket, sk);

	if (sk && !kern && (family == CONN_IPV4 || family == CONN_IPV6))
		sock_own(sk, typed);
	return 0;
}

SEC("fentry/security_socket_post_create")
int BPF_PROG(made_fentry, struct socket *socket, int family, int type, int protocol, int kern)
{
	return made(socket, family, kern, true);
}

SEC("kprobe/security_socket_post_create")
int BPF_KPROBE(made_kprobe, struct socket *socket, int family, int type, int protocol, int kern)
{
	return made(socket, family, kern, false);
}

SEC("fentry/security_sk_free")
int BPF_PROG(gone_fentry, struct sock *sk)
{
	sock_forget(sk);
	return 0;
}

SEC("kprobe/security_sk_free")
int BPF_KPROBE(gone_kprobe, struct sock *sk)
{
	sock_forget(sk);
	return 0;
}
