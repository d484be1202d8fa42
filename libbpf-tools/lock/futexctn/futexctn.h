/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define FUTEX_KEYS 10240 /* histograms */

enum futex_wait_op {
	OP_WAIT, /* FUTEX_WAIT, FUTEX_WAIT_BITSET, futex_wait(2) */
	OP_LOCK_PI,
	OP_WAIT_REQUEUE_PI,
	OP_WAITV,
};

enum futex_end { END_WOKEN, END_TIMEOUT, END_SIGNAL };

struct futex_config {
	__u64 lock; /* 0: any */
	__u64 min_ns, max_ns;
	__u64 unit_ns; /* of the histograms */
	bool woken;    /* only waits that a wake-up ended */
	bool summary;  /* by process and lock */
};

/* A wait under way. */
struct futex_args {
	__u64 start_ns;
	__u64 lock; /* of OP_WAITV: the list */
	__u32 op;
	__u32 shared;
};

#define PLACES_BITS 13
struct futex_place {
	__u64 owner; /* the address of a task, or 0 */
	struct futex_args args; /* start_ns is 0 where it does not wait */
};

/* A wait that is over, for --where. */
struct futex_event {
	__u64 ns;
	__u64 lock;
	__u32 pid, tid;
	__u32 op, end;
	__u32 shared;
	__u32 unused;
	char comm[COMM_LEN];
};

struct futexctn_key {
	__u32 generation; /* and the part of the histogram (abi/hist.h) */
	__u32 pid;
	__u32 tid; /* 0 with `summary` */
	__u32 image;
	__u64 lock;
	__s32 user; /* stack id, as in struct stack_key */
	__u16 op, shared;
};

struct futexctn_name {
	__u32 pid, tid; /* the thread, or 0 */
};

struct futexctn_comm {
	char text[COMM_LEN];
};
