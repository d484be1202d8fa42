/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"

struct udplife_config {
	bool all; /* sockets that were never used, too */
};

struct udplife_event {
	__u64 time_ns;  /* of the end, CLOCK_MONOTONIC */
	__u64 birth_ns; /* 0: before the tool */
	__u64 sent, received;   /* bytes */
	__u64 sends, receives;  /* datagrams */
	struct conn conn;       /* with the peer, if there was one */
	struct sock_owner owner;
	__u32 drops;
	__u8 several_peers;
	__u8 unused[3];
};
