/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Owners of TCP's sockets for tools that look at no changes of state: from the few functions that a
 * task calls to connect, listen and accept, at a quarter of what the six changes of a connection cost. */
#pragma once
#include "tcp_state.bpf.h"

SEC("fentry/tcp_connect")
int BPF_PROG(connects_fentry, struct sock *sk)
{
	sock_own(sk, true);
	return 0;
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(connects_kprobe, struct sock *sk)
{
	sock_own(sk, false);
	return 0;
}

SEC("fentry/inet_csk_listen_start")
int BPF_PROG(listens_fentry, struct sock *sk)
{
	if (is_tcp(sk, true))
		sock_own(sk, true);
	return 0;
}

SEC("kprobe/inet_csk_listen_start")
int BPF_KPROBE(listens_kprobe, struct sock *sk)
{
	if (is_tcp(sk, false))
		sock_own(sk, false);
	return 0;
}
