/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How long handlers of interrupts ran, by CPU. */
#pragma once
#include "abi/hist.h"

struct handler_config {
	__u64 unit_ns;    /* of the histograms */
	__u32 cpu;        /* with by_cpu: only this one */
	bool by_cpu;
	bool per_cpu;     /* tell CPUs apart */
	bool counts_only; /* no times */
	bool distributed; /* histograms */
};

struct handler_totals {
	__u64 count, total_ns, max_ns;
};

#define HANDLER_FIXED 16 /* a power of two: kinds of handlers that have a number */

#define HANDLER_DEPTH 4 /* a power of two: handlers that run inside of one another */

/* What one CPU knows; written by that CPU only, where nothing of the same kind interrupts it. */
struct handler_cpu {
	__u64 begun_ns[HANDLER_DEPTH]; /* of the handlers that run; of softirqs the first, 0: none
					* was seen to begin */
	__u64 depth;           /* handlers that run (hardirqs), those without room too */
	__u64 vector_begun_ns; /* of the vector's (hardirqs --vectors) */
	struct handler_totals fixed[2][HANDLER_FIXED]; /* by generation */
	__u64 unused[2];       /* to whole lines of cache */
};

/* For --where. */
struct handler_event {
	__u64 ns;
	__u32 number; /* of the interrupt, or of the fixed kind */
	__u32 cpu;
	char name[32]; /* of a handler that has one */
};

/* Of the histograms, and of handlers that have names. */
struct handler_key {
	__u32 generation;
	__u32 number;  /* of the interrupt, or of the fixed kind */
	__u64 name;    /* where the kernel has the handler's name, 0: a fixed kind */
	__u32 cpu;     /* of histograms only with per_cpu */
	__u32 unused;
};

#define HANDLER_NAME_LEN 64

struct handler_named {
	struct handler_totals totals;
	char name[HANDLER_NAME_LEN];
};
