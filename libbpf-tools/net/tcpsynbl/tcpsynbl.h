/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/hist.h"

struct tcpsynbl_config {
	bool by_listener;
};

enum synbl_event_type {
	SYNBL_QUEUED,      /* a handshake is complete, and the connection waits to be accepted */
	SYNBL_ACK_DROPPED, /* a handshake is complete, but the queue is full */
	SYNBL_SYN_DROPPED, /* a SYN, since the queue is full */
	SYNBL_TYPES,
};

struct synbl_key {
	__u32 generation;
	__u32 limit;
	__u32 type; /* enum synbl_event_type */
	__u16 family, port;
	__u8 addr[16]; /* with by_listener */
};

/* What --where may ask for. */
struct synbl_event {
	__u64 length;
	__u32 limit, type;
	struct conn conn; /* of the listener */
	__u32 unused;
};
