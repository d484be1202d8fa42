/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One program on many functions: bpf/functions.bpf.h and probe/functions.hpp. */
#pragma once
#include "abi/types.h"

struct functions_config {
	__u32 count; /* functions; they are known by their number, from 0 */
	__u32 cpus;  /* sets of counters */
};

/* What stands in the fentry program for the number of its function: each function has its own copy
 * of the program, with the number in this place. */
#define FUNCTION_NUMBER 0x7e57fd0c

/* Numbers of system calls that have a tracepoint of their own (bpf/syscall_points.bpf.h). */
#define SYSCALL_POINTS 512
