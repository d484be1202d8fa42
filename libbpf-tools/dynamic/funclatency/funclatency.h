/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../call.h"
#include "abi/hist.h"

struct funclatency_config {
	__u64 unit_ns;    /* of the histogram */
	__u64 low_ns, step_ns; /* of a linear one; step 0: powers of two */
	__u32 steps;
	bool per_function;
	bool per_process;
};

struct funclatency_key {
	__u32 generation;
	__u32 function; /* its number, with per_function */
	__u32 pid;      /* with per_process */
};
