/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Power-of-two histogram: slot n counts values in [2^n, 2^(n+1)); slot 0 also holds 0.
 * 64 slots cover every 64-bit value: no slot is a catch-all. The other members are exact and in the
 * raw unit (say nanoseconds), of which the slots' unit (say microseconds) is a multiple. */
#pragma once
#include "abi/types.h"

#define HIST_SLOTS 64

struct hist {
	__u64 slots[HIST_SLOTS];
	__u64 sum;
	__u64 max;
	__u64 min_inv; /* ~minimum, so that zeroed memory means "none yet" */
};
