/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../connect.h"

struct tcpconnect_config {
	__u8 counts; /* connects are counted, not sent */
	__u8 lport;  /* by local port, too */
};

struct connect_key {
	__u32 generation;
	struct conn conn;
	struct sock_owner owner; /* tid 0 */
};

struct connect_counts {
	__u64 connects, failed;
};

/* What user space makes of the two. */
struct connect_count {
	__u64 time_ns;
	struct conn conn;
	struct sock_owner owner;
	struct connect_counts counts;
};
