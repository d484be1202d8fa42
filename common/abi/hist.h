/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A histogram counts values in slots, four to a row; a row is what is printed.
 *
 * Powers of two: a value is counted in 1/32 of the histogram's unit (HIST_SCALE), or whole where the
 * unit is the raw one, as n in slot
 *	(shift << HIST_BITS) + (n >> shift),	shift = max(0, log2(n) - HIST_BITS):
 * each n below 8 has its own slot, each power of two above has four. The 64 bits of n need 252 slots:
 * no slot is a catch-all. Four slots to a power of two: the middle of a slot is at most 12.5 % from
 * every value in it.
 *
 * Linear: slot n is for [n * step / 4, (n + 1) * step / 4), and the last row for all above too.
 *
 * The totals are exact and in the raw unit (say nanoseconds), of which the histogram's unit (say
 * microseconds) is a multiple. */
#pragma once
#include "abi/types.h"

#define HIST_BITS 2
#define HIST_ROW (1 << HIST_BITS) /* slots in a row */
#define HIST_ROWS 64
#define HIST_SLOTS (HIST_ROWS * HIST_ROW)
#define HIST_SCALE_BITS 5
#define HIST_SCALE (1 << HIST_SCALE_BITS)

struct hist_totals {
	__u64 sum;
	__u64 max;
	__u64 min_inv; /* ~minimum, so that zeroed memory means "none yet" */
};

struct hist {
	__u64 slots[HIST_SLOTS];
	struct hist_totals totals;
};

/* Of a histogram by key, each key has parts of one row, made on first use: most keys need a few. The
 * number of the part stands in the key, above the generation. */
struct hist_part {
	__u64 slots[HIST_ROW];
	struct hist_totals totals;
};

#define HIST_GENERATION 1 /* the bit */
#define HIST_PART_SHIFT 1
