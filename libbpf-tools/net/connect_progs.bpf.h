/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs of a tool that traces connects and nothing else. */
#pragma once
#include "connect.bpf.h"

SEC("fentry/tcp_connect")
int BPF_PROG(connect_fentry, struct sock *sk)
{
	return connect_begins(sk, true);
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(connect_kprobe, struct sock *sk)
{
	return connect_begins(sk, false);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tp_btf, struct sock *sk, int old_state, int new_state)
{
	return connect_changed(ctx, sk, old_state, new_state, true);
}

SEC("raw_tp/inet_sock_set_state")
int state_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return connect_changed(ctx, (struct sock *)ctx->args[0], ctx->args[1], ctx->args[2], false);
}
