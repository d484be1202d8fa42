/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/hist.h"

#define SIZE_UNIT 1024 /* bytes */
#define SIZE_SLOTS 23  /* powers of two of it: requests have less than 4 GiB */
#define SIZE_PLACES 1024

struct bitesize_config {
	bool per_process;
	bool per_disk;
	bool per_operation;
	bool linear;        /* each size by itself too */
	char comm[COMM_LEN]; /* only names that begin so */
};

struct size_key {
	__u32 generation;
	__u32 disk;
	__u32 kind; /* enum request_kind */
	char comm[COMM_LEN];
};

/* A histogram and whose it is. */
struct size_place {
	__u64 name[2]; /* comm */
	__u64 rest;    /* disk << 32 | kind << 16 | CPU + 1; 0: nobody's */
	__u64 tickets; /* how many wanted the place while it was free */
	__u64 slots[SIZE_SLOTS];
	__u64 sum;
	__u64 max;
	__u64 min_inv;
};

struct linear_key {
	__u32 generation;
	__u32 units; /* of SIZE_UNIT */
};
