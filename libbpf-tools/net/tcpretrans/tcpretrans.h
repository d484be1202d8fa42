/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"

struct tcpretrans_config {
	bool probes; /* tail loss probes, too */
	bool counts; /* by connection, instead of events */
	bool failed; /* those that were not sent, too */
};

/* Why a segment was sent again. */
enum retrans_type {
	RETRANS_OTHER,
	RETRANS_RTO,    /* its timer ran out */
	RETRANS_LOSS,   /* after that, as acknowledgements come in */
	RETRANS_FAST,   /* the receiver has later ones */
	RETRANS_TLP,    /* as a tail loss probe */
	RETRANS_SYN,
	RETRANS_SYNACK,
	RETRANS_PROBE,  /* a tail loss probe, whatever it will send */
	RETRANS_TYPES,
};

struct retrans_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct conn conn;
	struct sock_owner owner;
	__u32 seq, end_seq; /* of the segment; as sent, the numbers begin anywhere */
	__s32 error;        /* errno, 0: it was sent */
	__u16 segments;     /* what one skb becomes on the wire */
	__u8 state;
	__u8 type; /* enum retrans_type */
	__u32 unused;
};

struct retrans_key {
	__u32 generation;
	__u32 unused;
	struct conn conn;
	struct sock_owner owner;
};

/* A row of counts. */
struct retrans_count {
	__u64 time_ns;
	struct conn conn;
	struct sock_owner owner;
	__u64 retransmits;
};
