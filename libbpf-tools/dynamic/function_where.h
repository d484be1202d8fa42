/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --where of the tools that trace functions: function_where.bpf.h and function_where.hpp. */
#pragma once
#include "abi/types.h"

/* Where there is a condition. */
struct function_where {
	bool entry, leave;
};

/* What a condition has besides the program's context. */
struct function_event {
	__u64 lat_ns;    /* of a return */
	__u64 undecided; /* unused: the kernel decides all */
};
