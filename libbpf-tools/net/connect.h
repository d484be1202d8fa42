/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connect, and what became of it. */
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"

enum connect_result {
	CONNECT_ESTABLISHED,
	CONNECT_REFUSED,
	CONNECT_TIMED_OUT,
	CONNECT_ABANDONED,   /* closed, or its process ended, before there was an answer */
	CONNECT_IN_PROGRESS, /* there was none when tracing ended */
	CONNECT_FAILED,      /* for another reason, which the errno says */
	CONNECT_RESULTS,
};

struct connect_event {
	__u64 time_ns;  /* of the result, CLOCK_MONOTONIC */
	__u64 start_ns; /* of the first segment; 0: none was sent */
	struct conn conn;
	struct sock_owner owner;
	__s32 error; /* errno, 0: none */
	__u8 result; /* enum connect_result */
	__u8 unused[3];
};
