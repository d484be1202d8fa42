/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --pcap: an expression of libpcap on a packet, decided in the kernel (packet/expression.hpp). */
#pragma once
#include "bpf/core.bpf.h"

#include "abi/packet.h"

/* User space puts another body in its place before libbpf reads the object, as for cb_where()
 * (bpf/where.bpf.h). 1: the packet is one that the expression selects. Reads up to 64 bytes from the
 * start on even where the packet is shorter: 320 bytes of its memory belong to its end (struct
 * skb_shared_info). */
__weak __hidden __noinline int cb_packet(const struct packet_view *view)
{
	asm volatile("" ::"r"(view));
	return 1;
}
