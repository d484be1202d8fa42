// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/sock.bpf.h"
#include "tcppktlat.h"

const volatile struct pktlat_config cfg = {};

#define TCP_FIN 1    /* include/net/tcp.h: TCPHDR_FIN */
#define ARRIVALS 8   /* a power of two */

struct arrival {
	__u64 time_ns;
	__u32 start, end; /* of its data, sequence numbers */
};

/* What has arrived at a socket and was not read to its end, the oldest first. Where there is no room
 * for one more, the last one stands for it, too: it arrived before. All of it happens with the
 * socket locked. */
struct unread {
	__u32 head, count;
	__u32 copied; /* up to which it was read */
	__u32 unused;
	struct arrival at[ARRIVALS];
};

HASH_MAP(unread, __u64, struct unread, 16384);

/* Before the segment is processed. What the socket has already is no arrival. */
static __always_inline int arrived(struct sock *sk, const struct sk_buff *skb)
{
	const struct tcp_skb_cb *segment = (void *)skb->cb;
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u32 end = BPF_CORE_READ(segment, end_seq), next = BPF_CORE_READ(tcp, rcv_nxt);
	__u64 key = (__u64)sk;
	struct unread *u;
	struct arrival *at;

	if ((__s32)(end - next) <= 0)
		return 0;
	if (BPF_CORE_READ_BITFIELD_PROBED(segment, tcp_flags) & TCP_FIN && --end == next)
		return 0;
	u = bpf_map_lookup_elem(&unread, &key);
	if (!u) {
		struct unread fresh = { .copied = BPF_CORE_READ(tcp, copied_seq) };

		u = find_or_insert(&unread, &key, &fresh);
		if (!u)
			return 0;
	}
	if (u->count >= ARRIVALS) {
		at = &u->at[(u->head + ARRIVALS - 1) & (ARRIVALS - 1)];
		if ((__s32)(end - at->end) > 0)
			at->end = end;
		return 0;
	}
	at = &u->at[(u->head + u->count) & (ARRIVALS - 1)];
	at->time_ns = bpf_ktime_get_ns();
	at->start = next;
	at->end = end;
	u->count++;
	return 0;
}

/* Forgets what is read to its end, and returns how many segments. */
static __always_inline __u32 forget_read(struct unread *u, __u32 copied)
{
	__u32 n = 0;

	for (int i = 0; i < ARRIVALS; i++) {
		if (!u->count || (__s32)(u->at[u->head & (ARRIVALS - 1)].end - copied) > 0)
			break;
		u->head++;
		u->count--;
		n++;
	}
	return n;
}

/* A segment was copied to a reader, or a part of it; a look at it (MSG_PEEK) leaves it unread. */
static __always_inline int was_read(void *ctx, struct sock *sk, bool direct)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct pktlat_event e = {};
	__u64 key = (__u64)sk;
	struct unread *u = bpf_map_lookup_elem(&unread, &key);
	const struct arrival *oldest;
	__u32 copied;

	if (!u || !u->count)
		return 0;
	copied = BPF_CORE_READ(tcp, copied_seq);
	if (copied == u->copied)
		return 0;
	u->copied = copied;
	oldest = &u->at[u->head & (ARRIVALS - 1)];
	if ((__s32)(copied - oldest->start) <= 0)
		return 0; /* it took what was there before the tool */
	e.wait_ns = time_since(oldest->time_ns);
	e.segments = forget_read(u, copied);
	if (!asked_for(e.wait_ns >= cfg.min_ns) || !filter_running(direct))
		return 0;
	if (!conn_read(&e.conn, sk, direct) || !asked_for(conn_wanted(&e.conn)))
		return 0;
	task_info_read(&e.task, direct);
	/* Sockets of the kernel have no file, and whoever runs reads them. */
	if (!BPF_CORE_READ(sk, sk_socket, file))
		e.task.pid = e.task.tid = 0;
	event_output(ctx, &e, sizeof(e));
	return 0;
}

static __always_inline int forget(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&unread, &key);
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(arrived_tp_btf, struct sock *sk, struct sk_buff *skb)
{
	return arrived(sk, skb);
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(read_tp_btf, struct sock *sk)
{
	return was_read(ctx, sk, true);
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tp_btf, struct sock *sk)
{
	return forget(sk);
}

SEC("raw_tp/tcp_probe")
int arrived_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return arrived((struct sock *)ctx->args[0], (struct sk_buff *)ctx->args[1]);
}

SEC("raw_tp/tcp_rcv_space_adjust")
int read_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return was_read(ctx, (struct sock *)ctx->args[0], false);
}

SEC("raw_tp/tcp_destroy_sock")
int destroy_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return forget((struct sock *)ctx->args[0]);
}
