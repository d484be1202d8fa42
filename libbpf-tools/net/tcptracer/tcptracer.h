/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../connect.h"

enum tracer_type {
	TRACE_CONNECT,
	TRACE_ACCEPT,
	TRACE_CLOSE,
	TRACE_TYPES,
};

struct tracer_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct conn conn;
	struct sock_owner owner;
	__s32 error; /* errno that ended it, 0: none */
	__u8 type;   /* enum tracer_type */
	__u8 result; /* of a connect, enum connect_result; else CONNECT_RESULTS */
	__u8 unused[6];
};
