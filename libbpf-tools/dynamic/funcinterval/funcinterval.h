/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/hist.h"
#include "abi/types.h"

struct funcinterval_config {
	__u64 unit_ns;   /* of the histogram */
	bool per_thread; /* between two hits in one thread, not in any */
};
