// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/hist.bpf.h"
#include "bpf/sock.bpf.h"
#include "bpf/where.bpf.h"
#include "tcprtt.h"

const volatile struct tcprtt_config cfg = { .unit = 1 };
HIST()
HISTS(struct rtt_key, 16384)

static __noinline int count_by_key(struct rtt_event *e)
{
	struct rtt_key key = {};

	if (!e)
		return 0;
	switch (cfg.by) {
	case RTT_BY_LADDR:
		key.family = e->conn.family;
		__builtin_memcpy(key.addr, e->conn.laddr, sizeof(key.addr));
		break;
	case RTT_BY_RADDR:
		key.family = e->conn.family;
		__builtin_memcpy(key.addr, e->conn.raddr, sizeof(key.addr));
		break;
	case RTT_BY_LPORT:
		key.port = e->conn.lport;
		break;
	case RTT_BY_RPORT:
		key.port = e->conn.rport;
		break;
	}
	hists_count(&key, e->rtt_us, cfg.unit);
	return 0;
}

/* Kept in eighths. The helper gives the pointer its type; a read by address costs 60 ns more. */
static __always_inline __u32 smoothed_us(struct sock *sk, bool direct)
{
	struct tcp_sock *tcp;

	if (!direct)
		return BPF_CORE_READ((struct tcp_sock *)sk, srtt_us) >> 3;
	tcp = bpf_skc_to_tcp_sock(sk);
	return tcp ? tcp->srtt_us >> 3 : 0;
}

/* A sample for each segment that comes in: the smoothed time as it is then. */
static __always_inline int received(void *ctx, struct sock *sk, bool direct)
{
	__u32 rtt_us = smoothed_us(sk, direct);

	if (!asked_for(rtt_us)) /* none was measured yet */
		return 0;
	if (cb_conns.any || cb_where_on || cfg.by) {
		struct rtt_event e = { .rtt_us = rtt_us };

		if (!conn_read(&e.conn, sk, direct) || !asked_for(conn_wanted(&e.conn)) ||
		    !where_holds(ctx, &e, sizeof(e)))
			return 0;
		if (cfg.by)
			return count_by_key(&e);
	}
	hist_count(rtt_us, cfg.unit);
	return 0;
}

/* In tcp_rcv_established(), and the cheapest there is. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(received_tp_btf, struct sock *sk)
{
	return received(ctx, sk, true);
}

SEC("raw_tp/tcp_probe")
int received_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return received(ctx, (struct sock *)ctx->args[0], false);
}
