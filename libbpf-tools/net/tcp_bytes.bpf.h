/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many bytes a TCP socket has carried, by its own counts: what was refused, sent in part or sent
 * again is in them once, or not at all. */
#pragma once
#include "bpf/core.bpf.h"
#include "tcp_bytes.h"

#define SOCK_DONE 1 /* enum sock_flags: the other side's FIN has come */

/* The kernel counts SYN and FIN as one byte each. `state`: of a socket that closes, the last before;
 * `syn_acked`: it is the side that connected, and its SYN was acknowledged if anything was. */
static __always_inline void tcp_bytes_read(struct tcp_bytes *bytes, struct sock *sk, int state,
					   bool syn_acked)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u64 sent = BPF_CORE_READ(tcp, bytes_acked), received = BPF_CORE_READ(tcp, bytes_received);
	unsigned long flags = BPF_CORE_READ(sk, __sk_common.skc_flags);
	bool has_closed = state == TCP_FIN_WAIT2 || state == TCP_TIME_WAIT ||
			  state == TCP_CLOSING || state == TCP_LAST_ACK;

	if (sent && syn_acked)
		sent--;
	if (sent && has_closed && BPF_CORE_READ(tcp, snd_una) == BPF_CORE_READ(tcp, write_seq))
		sent--;
	if (received && flags >> SOCK_DONE & 1)
		received--;
	bytes->sent = sent;
	bytes->received = received;
}
