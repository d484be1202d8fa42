/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connects that fail before a segment is sent: no route, no port that is free. Only what the call
 * returns says so. 5.10+. */
#pragma once
#include "connect.bpf.h"

/* Where the call was to lead: a connect that fails leaves none of it in the socket. */
static __always_inline void connect_read_target(struct conn *conn, const void *uaddr, int size)
{
	__u32 *raddr = (__u32 *)conn->raddr;
	struct sockaddr_in6 to = {};

	for (int i = 0; i < 4; i++)
		raddr[i] = 0;
	conn->rport = 0;
	if (size < (int)sizeof(struct sockaddr_in))
		return;
	bpf_probe_read_kernel(&to, sizeof(struct sockaddr_in), uaddr);
	conn->rport = bpf_ntohs(to.sin6_port);
	if (to.sin6_family == CONN_IPV4) {
		conn->family = CONN_IPV4;
		raddr[0] = ((struct sockaddr_in *)&to)->sin_addr.s_addr;
		return;
	}
	bpf_probe_read_kernel(raddr, sizeof(conn->raddr),
			      uaddr + offsetof(struct sockaddr_in6, sin6_addr));
	if (is_v4_mapped(raddr)) {
		conn->family = CONN_IPV4;
		raddr[0] = raddr[3];
		raddr[1] = raddr[2] = raddr[3] = 0;
	}
}

static __always_inline int connect_failed(void *ctx, struct sock *sk, const void *uaddr, int size,
					  int ret, bool direct)
{
	struct connect_event e = {};

	if (ret >= 0 || !filter_running(direct) || !conn_read(&e.conn, sk, direct))
		return 0;
	connect_read_target(&e.conn, uaddr, size);
	if (!asked_for(conn_wanted(&e.conn)))
		return 0;
	owner_read(&e.owner, direct);
	e.time_ns = bpf_ktime_get_ns();
	e.error = -ret;
	e.result = CONNECT_FAILED;
	connect_ended(ctx, sk, &e);
	return 0;
}

/* tcp_v6_connect() calls it for IPv4 addresses. */
static __always_inline bool is_within_v6(struct sock *sk, bool direct)
{
	return READ_FIELD(direct, sk, __sk_common.skc_family) == CONN_IPV6;
}

SEC("fexit/tcp_v4_connect")
int BPF_PROG(v4_fexit, struct sock *sk, void *uaddr, int size, int ret)
{
	return is_within_v6(sk, true) ? 0 : connect_failed(ctx, sk, uaddr, size, ret, true);
}

SEC("fexit/tcp_v6_connect")
int BPF_PROG(v6_fexit, struct sock *sk, void *uaddr, int size, int ret)
{
	return connect_failed(ctx, sk, uaddr, size, ret, true);
}

struct connect_call {
	struct sock *sk;
	const void *uaddr;
	int size;
};
/* By thread. */
HASH_MAP(connect_calls, __u32, struct connect_call, 4096);

static __always_inline int connect_called(struct sock *sk, const void *uaddr, int size)
{
	struct connect_call call = { .sk = sk, .uaddr = uaddr, .size = size };
	__u32 tid = bpf_get_current_pid_tgid();

	call_keep(&connect_calls, &tid, &call);
	return 0;
}

static __always_inline int connect_returned(void *ctx, struct pt_regs *regs)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct connect_call *call = bpf_map_lookup_elem(&connect_calls, &tid);

	if (!call)
		return 0;
	connect_failed(ctx, call->sk, call->uaddr, call->size, PT_REGS_RC(regs), false);
	bpf_map_delete_elem(&connect_calls, &tid);
	return 0;
}

SEC("kprobe/tcp_v4_connect")
int BPF_KPROBE(v4_kprobe, struct sock *sk, void *uaddr, int size)
{
	return is_within_v6(sk, false) ? 0 : connect_called(sk, uaddr, size);
}

SEC("kprobe/tcp_v6_connect")
int BPF_KPROBE(v6_kprobe, struct sock *sk, void *uaddr, int size)
{
	return connect_called(sk, uaddr, size);
}

SEC("kretprobe/tcp_v4_connect")
int v4_kretprobe(struct pt_regs *ctx)
{
	return connect_returned(ctx, ctx);
}

SEC("kretprobe/tcp_v6_connect")
int v6_kretprobe(struct pt_regs *ctx)
{
	return connect_returned(ctx, ctx);
}
