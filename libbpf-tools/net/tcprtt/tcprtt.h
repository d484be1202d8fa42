/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/hist.h"

enum rtt_by {
	RTT_ALL,
	RTT_BY_LADDR,
	RTT_BY_RADDR,
	RTT_BY_LPORT,
	RTT_BY_RPORT,
};

struct tcprtt_config {
	__u32 by;   /* enum rtt_by */
	__u32 unit; /* microseconds that one of the histogram's has */
};

struct rtt_key {
	__u32 generation;
	__u16 family;
	__u16 port;
	__u8 addr[16];
};

/* What --where may ask for. */
struct rtt_event {
	__u64 rtt_us;
	struct conn conn;
	__u32 unused;
};
