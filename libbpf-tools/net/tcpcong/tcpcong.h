/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/hist.h"
#include "abi/sock_owner.h"

#define CONG_STATES 5 /* Open, Disorder, CWR, Recovery, Loss: enum tcp_ca_state */

struct tcpcong_config {
	bool distributions; /* how long each stay in a state took, too */
	__u32 unit_ns;
};

/* A connection whose state has changed, by the address of its socket. */
struct cong_live {
	__u64 since_ns; /* of the state */
	struct conn conn;
	struct sock_owner owner;
	__u32 state;
	__u32 unused[2];
};

/* Without a hole: what stands there would be part of the key. */
struct cong_key {
	__u32 generation;
	__u32 unused;
	__u64 socket;
	struct conn conn;
	struct sock_owner owner;
	__u32 unused2;
};

struct cong_times {
	__u64 ns[CONG_STATES];
	__u64 changes;
};

struct cong_stay_key {
	__u32 generation;
	__u32 state;
};

/* A row. */
struct cong_row {
	__u64 time_ns;
	struct conn conn;
	struct sock_owner owner;
	struct cong_times times;
	__u32 state; /* of a histogram */
	__u32 unused;
};
