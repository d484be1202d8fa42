/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../body.h"
#include "../call.h"
#include "abi/hist.h"

#define ARGDIST_ENTRIES 8 /* values that are kept from an entry to the return */
#define ARGDIST_NEGATIVE (1u << 31)

struct argdist_config {
	__u64 bias;      /* 1 << 63 where the value is signed: then the order of min and max is right */
	__u64 low, step; /* of linear histograms; step 0: powers of two */
	__u32 last;      /* row of all that is beyond */
	__u32 value_at;  /* where the record has the value; 0: only calls are counted */
	__u64 value_bit; /* of `missing` */
	bool histogram;
	bool pairs; /* entries are seen as well as returns */
};

/* What the entry of a call saw. */
struct argdist_entry {
	__u64 missing;
	__u64 values[ARGDIST_ENTRIES];
};

struct argdist_thread {
	struct argdist_entry entries[CALL_DEPTH];
};

/* From `part` on it is the key of argdist_values, with what the generated body writes behind it. */
struct argdist_record {
	__u64 latency_ns;
	struct argdist_entry entry;
	__u64 undecided; /* unused: the kernel decides all */
	__u32 part;      /* generation, part of a histogram (abi/hist.h), ARGDIST_NEGATIVE */
	__u32 pad;
	__u64 missing;
};
