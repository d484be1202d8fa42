/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of a TCP socket, when its owner is forgotten. */
#pragma once
#include "bpf/sock_owner.bpf.h"

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tp_btf, struct sock *sk)
{
	sock_forget(sk);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int destroy_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	sock_forget((struct sock *)ctx->args[0]);
	return 0;
}
