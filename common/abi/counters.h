/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A fixed set of event counters; one line of cache a CPU. */
#pragma once
#include "abi/types.h"

#define COUNTERS_MAX 8
/* A power of two. CPUs beyond it share slots, which stays exact: the updates are atomic. */
#define COUNTERS_CPUS 128

struct counters {
	__u64 n[COUNTERS_MAX];
};

struct counters_config {
	bool per_cpu; /* a slot for each CPU */
	bool filter;  /* only the tasks of bpf/filter.bpf.h */
};
