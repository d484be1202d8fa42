/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"
#include "../tcp_bytes.h"

struct life_event {
	__u64 time_ns;  /* of the end, CLOCK_MONOTONIC */
	__u64 birth_ns; /* when it was established, or began to connect; 0: before the tool */
	struct tcp_bytes bytes;
	struct conn conn;
	struct sock_owner owner;
	__u32 retransmits; /* segments */
	__u32 rtt_us;      /* smoothed; 0: never measured */
	__s32 error;       /* errno that ended it, 0: none */
	__u8 state;        /* the last before CLOSE; of a session that is open: its state */
	__u8 is_open;      /* when tracing ended */
	__u8 unused[6];
};
