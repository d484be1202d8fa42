/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/event_stacks.h"
#include "abi/sock_owner.h"

enum drop_which {
	DROP_TCP,
	DROP_TCP_UDP,
	DROP_ALL, /* of IPv4 and IPv6 */
};

struct tcpdrop_config {
	__u8 which; /* enum drop_which */
};

#define DROP_NO_REASON (~0u) /* the kernel gives none: before 5.17 */

struct drop_event {
	__u64 time_ns;  /* CLOCK_MONOTONIC */
	__u64 location; /* a return address: where it was dropped */
	struct conn conn;
	struct sock_owner owner;
	__u32 reason; /* enum skb_drop_reason, with the number of a subsystem << 16 */
	__u32 length; /* of the packet, in bytes */
	__u8 state;   /* of the socket; 0: there is none */
	__u8 flags;   /* of the TCP header */
	__u8 outgoing; /* it is about to leave: the local side is its source */
	__u8 unused[5];
	struct event_stacks stacks;
};
