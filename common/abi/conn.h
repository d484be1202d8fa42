/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection, as one of its ends sees it, and which of them are traced. */
#pragma once
#include "abi/types.h"

#define CONN_IPV4 2   /* AF_INET: also of v4-mapped addresses */
#define CONN_IPV6 10  /* AF_INET6 */
#define CONN_TCP 6    /* IPPROTO_TCP */
#define CONN_UDP 17   /* IPPROTO_UDP */
#define CONN_MPTCP 262 /* IPPROTO_MPTCP */

struct conn {
	__u8 laddr[16], raddr[16]; /* in network order; of IPv4 the first four, the rest is 0 */
	__u32 netns;               /* number of the network namespace */
	__u16 lport, rport;        /* in host order */
	__u16 family;              /* CONN_IPV4, CONN_IPV6 */
	__u16 protocol;            /* IPPROTO_* */
};

/* An address and how many of its bits count, as words to be compared. */
struct conn_subnet {
	__u64 addr[2], mask[2];
	__u32 family;
	__u32 unused;
};

#define CONN_SUBNETS 8      /* a side, of --laddr and --raddr */
#define CONN_PORT_WORDS 1024 /* 65536 bits */

/* Keys of cb_ports. */
enum conn_side {
	CONN_LOCAL,
	CONN_REMOTE,
	CONN_EITHER,
	CONN_SIDES,
};

struct conn_ports {
	__u64 words[CONN_PORT_WORDS];
};

/* Zero means "no restriction". Constant at load time, so unused tests vanish. */
struct conn_filter {
	struct conn_subnet laddr[CONN_SUBNETS], raddr[CONN_SUBNETS];
	__u32 netns;
	__u16 family, protocol;
	__u8 laddrs, raddrs;         /* how many of each */
	__u8 by_port[CONN_SIDES];    /* cb_ports has a set for this side */
	__u8 any;                    /* whether any of these restricts anything */
};
