/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes of TCP sessions in an interval. */
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"
#include "tcp_bytes.h"

/* A session: its socket, and when it began or was found. */
struct traffic_key {
	__u32 generation;
	__u32 unused;
	__u64 socket;
	__u64 since_ns;
};

/* What it carried since the tool began: at the last reading, and in all if it has ended. User space
 * subtracts what it has shown before. */
struct traffic_value {
	struct conn conn;
	struct sock_owner owner;
	struct tcp_bytes live, whole;
	__u64 ended;
};

/* A session and what it carried in the interval: a row, and what --where decides on. */
struct traffic {
	__u64 time_ns;
	struct conn conn;
	struct sock_owner owner;
	struct tcp_bytes bytes;
};
