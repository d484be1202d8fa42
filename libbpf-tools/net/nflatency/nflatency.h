/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/hist.h"

#define NF_FAMILIES 16 /* numbers of families, more than there are */

enum nf_result {
	NF_DROPPED,
	NF_ACCEPTED,
	NF_KEPT, /* a hook function keeps it, such as a queue to a process */
	NF_RESULTS,
};

struct nflatency_config {
	__u8 hooks[NF_FAMILIES]; /* which are wanted, a bit each */
	__u32 netns;             /* 0: any */
	__u32 unit;              /* nanoseconds that one of the histogram's has */
	__u8 by_result;
	__u8 unused[7];
};

struct nf_key {
	__u32 generation;
	__u8 family, hook;
	__u8 result; /* enum nf_result */
	__u8 unused;
};

/* What --where may ask for. */
struct nf_event {
	__u64 ns;
	__u32 netns;
	__u8 family, hook, result;
	__u8 unused;
};
