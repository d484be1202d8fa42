/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"

struct state_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 span_ns; /* spent in the old state; 0: it began before the tool */
	__u64 socket;  /* its address */
	struct conn conn;
	struct sock_owner owner;
	__u8 old_state, new_state;
};
