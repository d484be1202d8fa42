/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/hist.h"

#define SIZE_UNIT 1024 /* bytes */
#define SIZE_PLACES 2048

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

/* A part of a histogram and whose it is. */
struct size_place {
	__u64 name[2]; /* comm */
	__u64 rest;    /* disk << 32 | part << 24 | kind << 16 | CPU + 1; 0: nobody's */
	__u64 tickets; /* how many wanted the place while it was free */
	struct hist_part part;
};

struct linear_key {
	__u32 generation;
	__u32 units; /* of SIZE_UNIT */
};
