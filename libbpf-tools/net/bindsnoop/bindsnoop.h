/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/task.h"

struct bindsnoop_config {
	bool errors; /* binds that failed, too */
	bool counts; /* by address and port, instead of events */
};

/* In the order of BCC's letters. */
enum bind_option {
	BIND_FREEBIND,
	BIND_TRANSPARENT,
	BIND_NO_PORT, /* IP_BIND_ADDRESS_NO_PORT */
	BIND_REUSEADDR,
	BIND_REUSEPORT,
	BIND_OPTIONS,
};

#define BIND_SOCK_RAW 3 /* SOCK_RAW: has no ports */

struct bind_event {
	struct task_info task;
	struct conn conn; /* what it is bound to; of a bind that failed, what was asked for */
	__s32 ret;        /* 0, -errno */
	__u32 interface;  /* index of the device that the socket is bound to, or 0 */
	__u16 type;       /* SOCK_* */
	__u8 options;     /* bits of enum bind_option */
	bool has_address; /* of a bind that failed: the address could be read */
};

struct bind_key {
	__u32 generation;
	struct conn conn;
};

/* A row of counts. */
struct bind_count {
	__u64 time_ns;
	struct conn conn;
	__u32 unused;
	__u64 binds;
};
