/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* The kernel's REQ_OP_READ to REQ_OP_DISCARD. */
enum { PCTS_READ, PCTS_WRITE, PCTS_FLUSH, PCTS_DISCARD, PCTS_KINDS };

enum pcts_from {
	PCTS_FROM_ALLOC,  /* before the kernel looked for a free request */
	PCTS_AFTER_ALLOC, /* when it had one */
	PCTS_ON_DEVICE    /* when the driver got it */
};

/* Latencies are counted in slots of 1/128 of their magnitude or, below 256 ns, of 1 ns
 * (abi/hist.h, with other bits). */
#define PCTS_FINE_BITS 7
#define PCTS_MAX_BITS 40 /* of nanoseconds, 18 minutes: a request that takes longer counts as that */
#define PCTS_SLOTS ((PCTS_MAX_BITS - PCTS_FINE_BITS + 1) << PCTS_FINE_BITS)

struct biolatpcts_config {
	__u32 from; /* enum pcts_from */
};
