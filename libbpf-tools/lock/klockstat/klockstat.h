/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define KLOCK_HELD 8       /* locks that a task holds or waits for at a time */
#define KLOCK_PLACES_BITS 12
#define KLOCK_TASKS 2048   /* tasks without a place */
#define KLOCK_SUMS 16384

enum klock_kind {
	KLOCK_MUTEX,
	KLOCK_READ,
	KLOCK_WRITE,
	KLOCK_RT,
	KLOCK_SPIN, /* this and what follows with contention only */
	KLOCK_SPIN_READ,
	KLOCK_SPIN_WRITE,
	KLOCK_PERCPU_READ,
	KLOCK_PERCPU_WRITE,
};

struct klock_config {
	__u64 lock; /* 0: any */
	bool threads; /* sums by thread, ... */
	bool locks;   /* or by lock, else by stack */
	bool contention;
};

/* A lock that a task waits for, until acquired_ns is not 0: which it then holds. */
struct klock_held {
	__u64 lock;
	__u64 start_ns;
	__u64 acquired_ns;
	__s32 stack;
	__u32 kind;
};

struct klock_task {
	__u64 owner; /* the address of a task, or 0 */
	__u32 depth;
	__u32 unused;
	struct klock_held held[KLOCK_HELD]; /* in the order in which they were asked for */
};

struct klock_key {
	__u32 generation;
	__u32 kind;
	__u32 tid;   /* with `threads`, else 0 */
	__s32 stack; /* as in struct stack_key; STACK_NONE with `threads` and `locks` */
	__u64 lock;  /* with `locks`, else 0 */
};

/* The longest, and whose it was. */
struct klock_longest {
	__u64 ns;
	__u64 lock;
	__u32 pid, tid;
	char comm[COMM_LEN];
};

struct klock_sum {
	__u64 count;
	__u64 wait_ns, hold_ns;
	struct klock_longest wait, hold;
};

/* A lock that was released, or that a task no longer waits for, for --where. */
struct klock_event {
	__u64 wait_ns, hold_ns;
	__u64 lock;
	__u32 pid, tid;
	__u32 kind;
	__u32 unused;
	char comm[COMM_LEN];
};
