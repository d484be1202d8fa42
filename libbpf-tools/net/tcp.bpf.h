/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "bpf/sock.bpf.h"

/* Whether a socket is TCP's or MPTCP's. */
static __always_inline bool is_tcp(struct sock *sk, bool direct)
{
	__u16 protocol = direct ? sk->sk_protocol : BPF_CORE_READ(sk, sk_protocol);

	return (protocol == CONN_TCP || protocol == CONN_MPTCP) && conn_family(sk, direct);
}
