/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tools of TCP's states share: who owns a socket, from its first state to its end. */
#pragma once
#include "tcp.bpf.h"
#include "tcp_destroy.bpf.h"

/* The entry of a socket that changes its state, made if need be. The running task is the owner where
 * it connects, listens or closes; all other changes may be made by whoever runs. */
static __always_inline struct sock_entry *sock_at_state(struct sock *sk, int new_state, bool typed)
{
	switch (new_state) {
	case TCP_SYN_SENT:
	case TCP_LISTEN:
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		return sock_own(sk, typed);
	default:
		return sock_find_or_make(sk);
	}
}

/* A socket is accepted; also by an accept that waited when the tool began (at the return of
 * inet_csk_accept() that one is missed). */
SEC("fentry/security_sock_graft")
int BPF_PROG(graft_fentry, struct sock *sk)
{
	if (is_tcp(sk, true))
		sock_own(sk, true);
	return 0;
}

SEC("kprobe/security_sock_graft")
int BPF_KPROBE(graft_kprobe, struct sock *sk)
{
	if (is_tcp(sk, false))
		sock_own(sk, false);
	return 0;
}
