/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define DEADLOCK_HELD 16    /* locks that a thread holds at a time */
#define DEADLOCK_THREADS 8192
#define DEADLOCK_EDGES 65536
#define DEADLOCK_LIVES 16384 /* locks that were destroyed */

enum deadlock_mode { HELD_ALONE, HELD_SHARED };

/* Which lock at an address: the next one there after pthread_..._destroy() is another. */
struct deadlock_lock {
	__u64 address;
	__u32 life;
	__u32 mode; /* enum deadlock_mode, of one that is held or wanted */
};

/* A thread asked for `to` when it held `from`. */
struct deadlock_key {
	__u32 pid, image;
	struct deadlock_lock from, to;
};

struct deadlock_edge {
	__u64 count;
	__u32 tid; /* of the first time, as all that follows */
	__u32 several; /* other threads did so, too */
	__s32 from_stack, to_stack;
	__u64 from_caller, to_caller; /* see struct deadlock_held */
	char comm[COMM_LEN];
};

struct deadlock_held {
	struct deadlock_lock lock;
	__s32 stack;
	__u32 count; /* of a recursive lock */
	__u64 caller; /* its return address, which the stack lacks: the function has no frame yet */
};

struct deadlock_thread {
	__u32 depth;
	__u32 image; /* STACK_IMAGE() of the program that it was last */
	struct deadlock_held held[DEADLOCK_HELD];
};

struct deadlock_life_key {
	__u64 address;
	__u32 pid;
	__u32 unused;
};

/* Who created a thread, and where. */
struct deadlock_birth {
	__u32 pid, image;
	__u32 tid;
	__s32 stack;
	char comm[COMM_LEN];
};
