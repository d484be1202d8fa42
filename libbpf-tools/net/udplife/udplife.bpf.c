// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "abi/conn.h"

struct udp_notes {
	__u64 birth_ns;
	__u64 sent, received, sends, receives;
	__u8 peer[16]; /* as in struct conn; of a socket that is not connected */
	__u16 peer_port, peer_family;
	bool several_peers;
};
#define SOCK_NOTES struct udp_notes
#include "bpf/sock_owner.bpf.h"
#include "udplife.h"

#define UDPLITE 136 /* IPPROTO_UDPLITE */
#define ETH_P_IP 0x0800

const volatile struct udplife_config cfg = {};

struct udp_send {
	struct sock *sk;
	struct msghdr *msg;
};
HASH_MAP(cb_args, __u32, struct udp_send, 16384); /* without fexit: calls under way */

static __always_inline bool is_udp(struct sock *sk)
{
	__u16 protocol = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);

	return (protocol == CONN_UDP || protocol == UDPLITE) && conn_family(sk, false);
}

/* Sockets of the kernel have no owner: it makes them while it works for whoever runs. */
static __always_inline int created(struct socket *socket, int by_kernel, bool typed)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct sock_entry *entry;

	if (!sk || !is_udp(sk))
		return 0;
	entry = by_kernel ? sock_find_or_make(sk) : sock_own(sk, typed);
	if (entry)
		entry->notes.birth_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline bool is_connected(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_dport);
}

/* `addr`: 16 bytes, aligned to 8; v4-mapped addresses are IPv4 ones. */
static __always_inline void note_peer(struct udp_notes *notes, __u32 *addr, __u16 family, __u16 port)
{
	__u64 *now = (__u64 *)addr, *then = (__u64 *)notes->peer;

	if (family == CONN_IPV6 && is_v4_mapped(addr)) {
		family = CONN_IPV4;
		addr[0] = addr[3];
		addr[1] = addr[2] = addr[3] = 0;
	}
	if (!notes->peer_family) {
		then[0] = now[0];
		then[1] = now[1];
		notes->peer_port = port;
		notes->peer_family = family;
	} else if (then[0] != now[0] || then[1] != now[1] || notes->peer_port != port ||
		   notes->peer_family != family) {
		notes->several_peers = true;
	}
}

static __always_inline int sent(struct sock *sk, struct msghdr *msg, int ret)
{
	struct sockaddr_in6 name = {};
	struct sock_entry *entry;
	__u64 addr[2] = {};
	void *to;

	if (ret < 0)
		return 0;
	entry = sock_find_or_make(sk);
	if (!entry)
		return 0;
	__sync_fetch_and_add(&entry->notes.sent, ret);
	__sync_fetch_and_add(&entry->notes.sends, 1);
	to = BPF_CORE_READ(msg, msg_name);
	if (!to || is_connected(sk))
		return 0;
	bpf_probe_read_kernel(&name, sizeof(name), to);
	if (name.sin6_family == CONN_IPV6)
		bpf_probe_read_kernel(addr, sizeof(addr), to + offsetof(struct sockaddr_in6, sin6_addr));
	else
		*(__u32 *)addr = ((struct sockaddr_in *)&name)->sin_addr.s_addr;
	note_peer(&entry->notes, (__u32 *)addr, name.sin6_family == CONN_IPV6 ? CONN_IPV6 : CONN_IPV4,
		  bpf_ntohs(name.sin6_port));
	return 0;
}

/* A reader has taken a datagram. `len` is what it got; a look (MSG_PEEK) has a negative one. */
static __always_inline int received(struct sock *sk, struct sk_buff *skb, int len)
{
	struct sock_entry *entry;
	__u64 addr[2] = {};
	__u16 family = CONN_IPV4;
	struct udphdr *udp;
	void *head, *ip;

	if (len < 0)
		return 0;
	entry = sock_find_or_make(sk);
	if (!entry)
		return 0;
	__sync_fetch_and_add(&entry->notes.received, len);
	__sync_fetch_and_add(&entry->notes.receives, 1);
	if (is_connected(sk))
		return 0;
	head = BPF_CORE_READ(skb, head);
	ip = head + BPF_CORE_READ(skb, network_header);
	if (BPF_CORE_READ(skb, protocol) == bpf_htons(ETH_P_IP)) {
		bpf_probe_read_kernel(addr, 4, ip + offsetof(struct iphdr, saddr));
	} else {
		bpf_probe_read_kernel(addr, 16, ip + offsetof(struct ipv6hdr, saddr));
		family = CONN_IPV6;
	}
	udp = head + BPF_CORE_READ(skb, transport_header);
	note_peer(&entry->notes, (__u32 *)addr, family, bpf_ntohs(BPF_CORE_READ(udp, source)));
	return 0;
}

/* Of its whole life. Since 6.18 UDP counts elsewhere. */
static __always_inline __u32 drops(struct sock *sk)
{
	if (bpf_core_field_exists(sk->sk_drop_counters)) {
		struct numa_drop_counters *counters = BPF_CORE_READ(sk, sk_drop_counters);

		if (counters)
			return BPF_CORE_READ(counters, drops0.counter) +
			       BPF_CORE_READ(counters, drops1.counter);
	}
	return BPF_CORE_READ(sk, sk_drops.counter);
}

static __always_inline void read_peer(struct conn *c, const struct udp_notes *notes)
{
	__u64 *laddr = (__u64 *)c->laddr, *raddr = (__u64 *)c->raddr;
	const __u64 *peer = (const __u64 *)notes->peer;

	if (c->rport || !notes->peer_family || notes->several_peers)
		return;
	raddr[0] = peer[0];
	raddr[1] = peer[1];
	c->rport = notes->peer_port;
	if (!laddr[0] && !laddr[1]) /* the unspecified address is that of both */
		c->family = notes->peer_family;
}

static __always_inline int ended(void *ctx, struct sock *sk, bool direct)
{
	struct sock_entry *entry = sock_find(sk);
	struct udplife_event e = {};
	struct udp_notes *notes;

	if (!entry)
		return 0;
	notes = &entry->notes;
	e.drops = drops(sk);
	if (!asked_for(cfg.all || notes->sends || notes->receives || e.drops) || !sock_wanted(entry))
		goto forget;
	if (!conn_read(&e.conn, sk, direct))
		goto forget;
	e.several_peers = !e.conn.rport && notes->several_peers;
	read_peer(&e.conn, notes);
	if (!asked_for(conn_wanted(&e.conn)))
		goto forget;
	e.time_ns = bpf_ktime_get_ns();
	e.birth_ns = notes->birth_ns;
	e.sent = notes->sent;
	e.received = notes->received;
	e.sends = notes->sends;
	e.receives = notes->receives;
	e.owner = entry->owner;
	event_output(ctx, &e, sizeof(e));
forget:
	sock_forget(sk);
	return 0;
}

SEC("fentry/security_socket_post_create")
int BPF_PROG(create_fentry, struct socket *socket, int family, int type, int protocol, int by_kernel)
{
	return created(socket, by_kernel, true);
}

SEC("kprobe/security_socket_post_create")
int BPF_KPROBE(create_kprobe, struct socket *socket, int family, int type, int protocol,
	       int by_kernel)
{
	return created(socket, by_kernel, false);
}

/* An IPv6 socket sends to a v4-mapped address through udp_sendmsg(), too. */
static __always_inline bool is_inner_call(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_family) == CONN_IPV6;
}

SEC("fexit/udp_sendmsg")
int BPF_PROG(send_fexit, struct sock *sk, struct msghdr *msg, size_t len, int ret)
{
	return is_inner_call(sk) ? 0 : sent(sk, msg, ret);
}

SEC("fexit/udpv6_sendmsg")
int BPF_PROG(send6_fexit, struct sock *sk, struct msghdr *msg, size_t len, int ret)
{
	return sent(sk, msg, ret);
}

static __always_inline int enter(struct sock *sk, struct msghdr *msg)
{
	struct udp_send call = { sk, msg };
	__u32 tid = bpf_get_current_pid_tgid();

	call_keep(&cb_args, &tid, &call);
	return 0;
}

static __always_inline int leave(int ret, bool inner_calls)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct udp_send *call = bpf_map_lookup_elem(&cb_args, &tid);

	if (!call || (inner_calls && is_inner_call(call->sk)))
		return 0;
	sent(call->sk, call->msg, ret);
	bpf_map_delete_elem(&cb_args, &tid);
	return 0;
}

SEC("kprobe/udp_sendmsg")
int BPF_KPROBE(enter_send, struct sock *sk, struct msghdr *msg)
{
	return is_inner_call(sk) ? 0 : enter(sk, msg);
}

SEC("kretprobe/udp_sendmsg")
int BPF_KRETPROBE(leave_send, int ret)
{
	return leave(ret, true);
}

SEC("kprobe/udpv6_sendmsg")
int BPF_KPROBE(enter_send6, struct sock *sk, struct msghdr *msg)
{
	return enter(sk, msg);
}

SEC("kretprobe/udpv6_sendmsg")
int BPF_KRETPROBE(leave_send6, int ret)
{
	return leave(ret, false);
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(receive_fentry, struct sock *sk, struct sk_buff *skb, int len)
{
	return received(sk, skb, len);
}

SEC("kprobe/skb_consume_udp")
int BPF_KPROBE(receive_kprobe, struct sock *sk, struct sk_buff *skb, int len)
{
	return received(sk, skb, len);
}

SEC("fentry/udp_destroy_sock")
int BPF_PROG(end_fentry, struct sock *sk)
{
	return ended(ctx, sk, true);
}

SEC("fentry/udpv6_destroy_sock")
int BPF_PROG(end6_fentry, struct sock *sk)
{
	return ended(ctx, sk, true);
}

SEC("kprobe/udp_destroy_sock")
int BPF_KPROBE(end_kprobe, struct sock *sk)
{
	return ended(ctx, sk, false);
}

SEC("kprobe/udpv6_destroy_sock")
int BPF_KPROBE(end6_kprobe, struct sock *sk)
{
	return ended(ctx, sk, false);
}
