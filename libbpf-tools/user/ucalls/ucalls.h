/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../runtime.h"
#include "abi/syscall_abi.h"

#define UCALLS_METHODS 16384

struct ucalls_config {
	bool timed;
};

struct ucalls_key {
	__u32 generation;
	__u32 syscall; /* its slot and 1; 0: a method */
	struct runtime_name name;
};

struct ucalls_sums {
	__u64 count;
	__u64 ended; /* of them, or of an earlier interval */
	__u64 total_ns;
};
