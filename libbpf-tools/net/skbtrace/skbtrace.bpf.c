// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/functions.bpf.h"
#include "bpf/packet.bpf.h"
#include "../tcp_state.bpf.h"
#include "../netfilter.bpf.h"
#include "../skb_way.bpf.h"
#include "skbtrace.h"

const volatile struct skbtrace_config cfg = {};

/* A slot for each hook: its programs do not interrupt each other on a CPU. On the stack the verifier would
 * keep track of each value, and look at thousands of paths. */
struct skb_scratch {
	struct skb_seen seen;
	struct skb_packet packet;
	struct skb_event event;
	__u8 capture[SKB_CAPTURE]; /* behind the event, wherever that ends */
	__u64 begun; /* packets that were seen first there */
	struct skb_way fresh;
};
EVENT_SCRATCH(struct skb_scratch, SKB_HOOKS)

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
	return !cfg.ifname[0] || (s->ifname[0] == cfg.ifname[0] && s->ifname[1] == cfg.ifname[1]);
}

static __noinline int expression_holds(const struct skb_packet *p, const struct skb_seen *s)
{
	struct packet_view view;
	__s32 linear;

	if (!p || !s || !p->conn.family)
		return 0;
	linear = (__s32)s->tail - p->header;
	view.start = s->head + p->header;
	view.linear = linear > 0 ? linear : 0;
	view.bytes = s->bytes + s->data - p->header;
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
 * not where that one began, with no fewer hops left to go. A function may see it more than once. */
static __always_inline bool is_same(struct skb_way *way, const struct skb_packet *p,
				    const struct skb_seen *s)
{
	if (!says_same(way, p))
		return is_tunneled(way, p, s);
	return way->first_hook != s->hook || s->hook == SKB_FUNCTION || s->hook == SKB_NETFILTER ||
	       way->first_dev != s->dev || p->ttl < way->first_ttl;
}

/* The owner of the packet's socket. A packet that is read is in the hands of the task that runs. */
static __always_inline void fill_owner(struct sock_owner *owner, const struct skb_seen *s)
{
	struct sock_entry *entry;

	__builtin_memset(owner, 0, sizeof(*owner));
	if (s->hook == SKB_READ || s->hook == SKB_UDP_READ) {
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
	e->skb = s->skb;
	e->location = s->location;
	e->conn = p->conn;
	e->conn.netns = s->netns;
	e->bytes = s->bytes + s->data - p->header;
	e->mark = s->mark;
	e->ifindex = s->ifindex;
	e->reason = s->reason;
	((__u64 *)e->ifname)[0] = s->ifname[0];
	((__u64 *)e->ifname)[1] = s->ifname[1];
	fill_owner(&e->owner, s);
	e->ethertype = s->ethertype;
	e->icmp_id = p->icmp_id;
	e->icmp_type = p->icmp_type;
	e->icmp_code = p->icmp_code;
	e->tcp_flags = p->tcp_flags;
	e->ttl = p->ttl;
	e->hook = s->hook;
	e->has_echo = p->has_echo;
	e->function = s->function;
}

/* In a file of packets each stands once where it is sent, once where it is received, and where it ends
 * early. */
static __always_inline bool is_captured(const struct skb_event *e)
{
	return e->hook == SKB_TRANSMIT || e->hook == SKB_RECEIVE || e->hook == SKB_DROP ||
	       (e->hook == SKB_NETFILTER && e->netfilter.verdict != NF_VERDICT_ACCEPT);
}

/* Appends what is in one piece of the packet, from its network header on; returns how many bytes. */
static __always_inline __u64 capture(struct skb_event *e, __u64 at, const struct skb_seen *s,
				     const struct skb_packet *p)
{
	__s32 linear = (__s32)s->tail - p->header;
	__u64 n = cfg.capture;

	if (e->hook == SKB_NETFILTER || p->header <= 0 || p->header == 0xffff || linear <= 0)
		return 0;
	if (n > (__u64)linear)
		n = linear;
	if (n > SKB_CAPTURE || at > sizeof(*e))
		return 0;
	if (bpf_probe_read_kernel((void *)e + at, n, (void *)s->head + p->header))
		return 0;
	e->captured = n;
	e->capture_at = at;
	return n;
}

/* Sends the event in the slot of its hook. */
static __always_inline void send(void *ctx, struct skb_event *e, const struct skb_seen *s,
				 const struct skb_packet *p)
{
	__u64 size = offsetof(struct skb_event, netfilter);

	e->captured = e->capture_at = 0;
	if (cfg.capture && !is_captured(e)) {
		count_filtered();
		return;
	}
	if (e->hook == SKB_NETFILTER)
		size += sizeof(e->netfilter);
	else if (cfg.stack == SKB_STACK_ALL || (cfg.stack == SKB_STACK_DROPS && e->hook == SKB_DROP))
		size += event_stacks_fill(ctx, &e->stacks);
	if (cfg.capture)
		size += capture(e, size, s, p);
	if (size <= sizeof(*e) + SKB_CAPTURE)
		event_output(ctx, e, size);
}

/* A packet that is followed (`way`, `known` if by its own address) or begins here. */
static __noinline int record(void *ctx, struct skb_scratch *scratch)
{
	struct skb_way *known, *way;
	struct skb_packet *p;
	struct skb_event *e;
	struct skb_seen *s;
	__u32 hook;

	if (!scratch)
		return 0;
	s = &scratch->seen;
	p = &scratch->packet;
	hook = s->hook;
	known = way = find_way(s->skb);
	if (!way)
		way = find_way_of_head(s->head);
	if (!way && !s->is_wanted)
		return 0;
	read_rest(s);
	if (way && ((known && way->last_hook == WAY_ENDED) || !is_same(way, p, s)))
		way = NULL;
	if (!way && !s->is_wanted)
		return 0;
	/* What UDP copied by that tracepoint comes here, too. */
	if (way && hook == SKB_UDP_READ && way->last_hook == SKB_READ) {
		way->last_hook = hook;
		return 0;
	}
	e = &scratch->event;
	e->time_ns = bpf_ktime_get_ns();
	if (way) {
		/* In the queue of a UDP socket it belongs to nothing. */
		if (!s->netns)
			s->netns = way->netns;
		way->netns = s->netns;
		way->header = p->header;
		e->packet = way->packet;
		e->span_ns = time_between(way->last_ns, e->time_ns);
		way->last_ns = e->time_ns;
		way->last_hook = hook;
		if (known && way->head != s->head) {
			way->head = s->head;
			note_head(s);
		}
	} else {
		struct skb_way *fresh = &scratch->fresh;

		fresh->packet = (scratch->begun++ * SKB_HOOKS + hook) * ACCOUNT_CPUS +
				bpf_get_smp_processor_id() + 1;
		fresh->last_ns = e->time_ns;
		fresh->head = s->head;
		fresh->first_dev = s->dev;
		fresh->seq = p->seq;
		fresh->ack = p->ack;
		fresh->netns = s->netns;
		fresh->ip_id = p->ip_id;
		fresh->header = p->header;
		fresh->protocol = p->conn.protocol;
		fresh->first_ttl = p->ttl;
		fresh->first_hook = fresh->last_hook = hook;
		e->packet = fresh->packet;
		e->span_ns = 0;
		note_way(known, fresh, s);
	}
	fill(e, p, s);
	if (hook == SKB_NETFILTER)
		nf_read(&e->netfilter, &cfg.nf, (void *)s->state, (void *)s->entries, s->verdict);
	if (s->is_end && known)
		known->last_hook = WAY_ENDED;
	send(ctx, e, s, p);
	return 1;
}

/* What ends or is read is not always a packet: only those that are followed are of interest. */
static __always_inline bool is_judged(enum skb_hook hook, const struct skb_packet *p)
{
	return hook != SKB_READ && hook != SKB_UDP_READ && hook != SKB_DONE &&
	       (hook != SKB_DROP || p->conn.family);
}

static __noinline int hop(void *ctx, struct skb_scratch *scratch)
{
	struct skb_packet *p;
	struct skb_seen *s;
	bool judged;

	if (!scratch)
		return 0;
	s = &scratch->seen;
	p = &scratch->packet;
	if (cb_conns.netns || cfg.ifname[0] || cfg.by_mark || cb_filter.any || cfg.by_expression)
		read_rest(s);
	parse(p, s, s->hook == SKB_RX || s->hook == SKB_RECEIVE);
	judged = is_judged(s->hook, p);
	s->is_wanted = judged && packet_wanted(p, s);
	if (!s->is_wanted && !*place_of(s->skb) && !*place_of(s->head)) {
		if (judged)
			count_filtered();
		return 0;
	}
	if (!record(ctx, scratch) && judged)
		count_filtered();
	return 0;
}

/* NULL: there is no slot, which never is. */
static __always_inline struct skb_scratch *begin_hop(struct sk_buff *skb, enum skb_hook hook,
						     bool direct)
{
	struct skb_scratch *scratch = event_scratch(hook);

	if (!scratch)
		return NULL;
	read_skb(&scratch->seen, skb, hook == SKB_RX || hook == SKB_RECEIVE, direct);
	scratch->seen.hook = hook;
	return scratch;
}

static __always_inline bool subnets_have(const volatile struct conn_subnet *subnets, __u32 n, __u32 addr)
{
	for (__u32 i = 0; i < CONN_SUBNETS && i < n; i++)
		if (subnets[i].family == CONN_IPV4 && (addr & (__u32)subnets[i].mask[0]) == (__u32)subnets[i].addr[0])
			return true;
	return !n;
}

static __always_inline bool ports_have(enum conn_side side, __u16 port)
{
	return !cb_conns.by_port[side] || conn_has_port(side, port);
}

/* Whether a packet of IPv4 between these ends, in this direction, may be wanted. */
static __always_inline bool ends_may_be_wanted(__u32 laddr, __u32 raddr, __u16 lport, __u16 rport)
{
	return ports_have(CONN_LOCAL, lport) && ports_have(CONN_REMOTE, rport) &&
	       subnets_have(cb_conns.laddr, cb_conns.laddrs, laddr) &&
	       subnets_have(cb_conns.raddr, cb_conns.raddrs, raddr);
}

/* Most packets are rejected: those of IPv4 without options in some 150 instructions, by one read and the
 * commonest of the conditions. The rest is for hop(). */
static __always_inline bool is_surely_unwanted(struct sk_buff *skb, enum skb_hook hook)
{
	__u64 head = as_number(skb->head), at;
	__u32 words[6];
	const __u8 *bytes = (const __u8 *)words;
	__u16 lport, rport;

	if (!(cb_conns.any || cfg.by_protocol) || cb_conns.by_port[CONN_EITHER] ||
	    *place_of(as_number(skb)) || *place_of(head) || skb->protocol != bpf_htons(ETHERTYPE_IPV4))
		return false;
	at = hook == SKB_RX || hook == SKB_RECEIVE ? as_number(skb->data) : head + skb->network_header;
	if (bpf_probe_read_kernel(words, sizeof(words), (void *)at) || bytes[0] != 0x45 ||
	    (words[1] & bpf_htonl(0x1fff)))
		return false;
	if (cfg.by_protocol && bytes[9] != cfg.protocol)
		return true;
	if (cb_conns.family == CONN_IPV6)
		return true;
	if (bytes[9] != CONN_TCP && bytes[9] != CONN_UDP)
		return false;
	lport = bpf_ntohs(words[5]);
	rport = bpf_ntohs(words[5] >> 16);
	return !ends_may_be_wanted(words[3], words[4], lport, rport) &&
	       !(tells_ends_apart() && ends_may_be_wanted(words[4], words[3], rport, lport));
}

static __always_inline int seen(void *ctx, struct sk_buff *skb, enum skb_hook hook, bool direct)
{
	if (direct && is_surely_unwanted(skb, hook)) {
		count_filtered();
		return 0;
	}
	return hop(ctx, begin_hop(skb, hook, direct));
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

static __always_inline bool is_followed(const struct sk_buff *skb)
{
	return *place_of(as_number(skb));
}

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(read_tp_btf, struct sk_buff *skb)
{
	return is_followed(skb) ? hop(ctx, begin_hop(skb, SKB_READ, true)) : 0;
}

SEC("raw_tp/skb_copy_datagram_iovec")
int read_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)ctx->args[0];

	return is_followed(skb) ? hop(ctx, begin_hop(skb, SKB_READ, false)) : 0;
}

/* UDP copies what is in one piece without that tracepoint, and then comes here. */
SEC("fentry/skb_consume_udp")
int BPF_PROG(udp_fentry, struct sock *sk, struct sk_buff *skb)
{
	return is_followed(skb) ? hop(ctx, begin_hop(skb, SKB_UDP_READ, true)) : 0;
}

SEC("kprobe/skb_consume_udp")
int BPF_KPROBE(udp_kprobe, struct sock *sk, struct sk_buff *skb)
{
	return is_followed(skb) ? hop(ctx, begin_hop(skb, SKB_UDP_READ, false)) : 0;
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

/* `args`, a constant `direct`: of a tp_btf program, with types. */
static __always_inline int done(void *ctx, const __u64 *args, bool direct)
{
	struct sk_buff *skb = (struct sk_buff *)args[0];
	struct trace_event_raw_consume_skb___v6_4 *record = NULL;
	struct skb_scratch *scratch;

	if (!is_followed(skb))
		return 0;
	scratch = begin_hop(skb, SKB_DONE, direct);
	if (!scratch)
		return 0;
	scratch->seen.is_end = !cfg.is_deep;
	if (bpf_core_field_exists(record->location))
		scratch->seen.location = as_number((void *)args[1]);
	return hop(ctx, scratch);
}

SEC("tp_btf/consume_skb")
int done_tp_btf(__u64 *ctx)
{
	return done(ctx, ctx, true);
}

SEC("raw_tp/consume_skb")
int done_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return done(ctx, ctx->args, false);
}

static __always_inline int dropped(void *ctx, const __u64 *args, bool direct)
{
	struct trace_event_raw_kfree_skb___v6_11 *record = NULL;
	struct skb_scratch *scratch = begin_hop((struct sk_buff *)args[0], SKB_DROP, direct);
	struct skb_seen *s;

	if (!scratch)
		return 0;
	s = &scratch->seen;
	scratch->event.skb = 0; /* drop_judged() takes no older one for this */
	s->is_end = !cfg.is_deep;
	/* Whose it is where the packet does not say so itself. */
	if (bpf_core_field_exists(record->rx_sk) && !s->sk)
		s->sk = as_number((void *)args[3]);
	s->location = as_number((void *)args[1]);
	if (bpf_core_type_exists(enum skb_drop_reason___v5_17))
		s->reason = args[2];
	return hop(ctx, scratch);
}

SEC("tp_btf/kfree_skb")
int drop_tp_btf(__u64 *ctx)
{
	return dropped(ctx, ctx, true);
}

SEC("raw_tp/kfree_skb")
int drop_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return dropped(ctx, ctx->args, false);
}

/* The packet of a drop is gone when nf_hook_slow() returns, and its line was the last of its kind on this
 * CPU. Few are dropped without one: those that were not wanted. */
static __always_inline int drop_judged(void *ctx, __u64 skb, void *state, void *entries, int result)
{
	struct skb_scratch *dropped = event_scratch(SKB_DROP), *own = event_scratch(SKB_NETFILTER);
	struct skb_event *e;
	__u64 now;

	if (!dropped || !own || dropped->event.skb != skb)
		return 0;
	dropped->event.skb = 0;
	e = &own->event;
	__builtin_memcpy(e, &dropped->event, offsetof(struct skb_event, netfilter));
	now = bpf_ktime_get_ns();
	e->skb = skb;
	e->span_ns = time_between(e->time_ns, now);
	e->time_ns = now;
	e->hook = SKB_NETFILTER;
	e->location = e->reason = 0;
	nf_read(&e->netfilter, &cfg.nf, state, entries, result);
	send(ctx, e, &own->seen, &own->packet);
	return 0;
}

SEC("fexit/nf_hook_slow")
int BPF_PROG(judged_fexit, struct sk_buff *skb, struct nf_hook_state *state,
	     const struct nf_hook_entries *entries, unsigned int first, int result)
{
	struct skb_scratch *scratch;

	if (result < 0)
		return drop_judged(ctx, as_number(skb), state, (void *)entries, result);
	scratch = begin_hop(skb, SKB_NETFILTER, true);
	if (!scratch)
		return 0;
	scratch->seen.state = as_number(state);
	scratch->seen.entries = as_number(entries);
	scratch->seen.verdict = result;
	return hop(ctx, scratch);
}

SEC("fexit/%nft")
int BPF_PROG(nft_fexit, void *packet, void *chain, unsigned int verdict)
{
	return nf_note(NF_NFT, as_number(chain), verdict);
}

/* v5.16 (ee177a54413a) put the table first; before, the packet. */
SEC("fexit/%ipt")
int BPF_PROG(ipt_fexit, void *first, void *second, void *third, unsigned int verdict)
{
	return nf_note(NF_XT, cfg.nf.is_table_first ? as_number(first) : as_number(third), verdict);
}

SEC("fexit/%ip6t")
int BPF_PROG(ip6t_fexit, void *first, void *second, void *third, unsigned int verdict)
{
	return nf_note(NF_XT, cfg.nf.is_table_first ? as_number(first) : as_number(third), verdict);
}

/* Before 5.11 modules have no BTF: the entry notes what the return cannot see. */
SEC("kprobe/nft_do_chain")
int BPF_KPROBE(nft_kprobe, void *packet, void *chain)
{
	return nf_note(NF_NFT, (__u64)chain, NF_VERDICT_ACCEPT);
}

SEC("kretprobe/nft_do_chain")
int BPF_KRETPROBE(nft_kretprobe, unsigned int verdict)
{
	nf_last()->verdict = verdict;
	return 0;
}

SEC("kprobe/ipt_do_table")
int BPF_KPROBE(ipt_kprobe, void *first, void *second, void *third)
{
	return nf_note(NF_XT, cfg.nf.is_table_first ? (__u64)first : (__u64)third, NF_VERDICT_ACCEPT);
}

SEC("kretprobe/ipt_do_table")
int BPF_KRETPROBE(ipt_kretprobe, unsigned int verdict)
{
	nf_last()->verdict = verdict;
	return 0;
}

SEC("kprobe/ip6t_do_table")
int BPF_KPROBE(ip6t_kprobe, void *first, void *second, void *third)
{
	return nf_note(NF_XT, cfg.nf.is_table_first ? (__u64)first : (__u64)third, NF_VERDICT_ACCEPT);
}

SEC("kretprobe/ip6t_do_table")
int BPF_KRETPROBE(ip6t_kretprobe, unsigned int verdict)
{
	nf_last()->verdict = verdict;
	return 0;
}

/* Deep mode: function number `number` has the packet as one of its arguments. */
static __always_inline int called(struct pt_regs *ctx, __u32 number,
				  const volatile struct skb_functions *functions)
{
	struct sk_buff *skb = (void *)PT_REGS_PARM1(ctx);
	__u64 second = PT_REGS_PARM2(ctx), third = PT_REGS_PARM3(ctx);
	__u64 fourth = PT_REGS_PARM4(ctx), fifth = PT_REGS_PARM5(ctx);
	struct skb_scratch *scratch;

	/* Else the compiler chooses among the places, which the verifier refuses. */
	barrier_var(skb);
	barrier_var(second);
	barrier_var(third);
	barrier_var(fourth);
	barrier_var(fifth);
	if (number >= functions->first[4])
		skb = (void *)fifth;
	else if (number >= functions->first[3])
		skb = (void *)fourth;
	else if (number >= functions->first[2])
		skb = (void *)third;
	else if (number >= functions->first[1])
		skb = (void *)second;
	if (!skb)
		return 0;
	scratch = begin_hop(skb, SKB_FUNCTION, false);
	if (!scratch)
		return 0;
	scratch->seen.function = number + 1;
	scratch->seen.is_end = number < functions->ends;
	return hop(ctx, scratch);
}

SEC("kprobe.multi")
int deep_multi(struct pt_regs *ctx)
{
	return called(ctx, multi_function(ctx), &cfg.all);
}

SEC("kprobe")
int deep_kprobe(struct pt_regs *ctx)
{
	__u32 number = kprobe_function(ctx);

	return number < cb_functions.count ? called(ctx, number, &cfg.few) : 0;
}

/* Deep mode: a copy, which has memory of its own, goes on as the packet that it is of. */
static __always_inline int copied(struct sk_buff *from, struct sk_buff *to)
{
	__u64 old = as_number(from), new = as_number(to);
	struct skb_way *way = find_way(old), copy;
	struct skb_seen s = { .skb = new };

	if (!way || !new)
		return 0;
	copy = *way;
	s.head = copy.head = (__u64)BPF_CORE_READ(to, head);
	note_way(bpf_map_lookup_elem(&ways, &new), &copy, &s);
	return 0;
}

SEC("fexit/skb_copy")
int BPF_PROG(copy_fexit, struct sk_buff *from, gfp_t flags, struct sk_buff *to)
{
	return copied(from, to);
}

SEC("fexit/__pskb_copy_fclone")
int BPF_PROG(pcopy_fexit, struct sk_buff *from, int headroom, gfp_t flags, bool fclone,
	     struct sk_buff *to)
{
	return copied(from, to);
}

SEC("fexit/skb_copy_expand")
int BPF_PROG(expand_fexit, struct sk_buff *from, int headroom, int tailroom, gfp_t flags,
	     struct sk_buff *to)
{
	return copied(from, to);
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
