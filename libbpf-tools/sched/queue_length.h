/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* Addresses of the kernel's variables, for kernels whose tasks do not know their queue. */
struct run_queues {
	__u64 variable; /* runqueues, of CPU 0 without its offset */
	__u64 offsets;  /* __per_cpu_offset; 0: a kernel for one CPU */
};
