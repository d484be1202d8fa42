/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"

struct accept_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct conn conn;
	struct sock_owner owner;
	__u32 queued, backlog; /* of the listener: connections that still wait, and their limit */
	__u8 has_listener;     /* the two are known */
	__u8 state;            /* of the connection */
	__u8 unused[6];
};
