/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/hist.h"

#define CPUFREQ_STEP_MHZ 200 /* of the histograms; 64 rows reach to 12.8 GHz */
#define CPUFREQ_CPUS 8192    /* a power of two, CONFIG_NR_CPUS of the large kernels */

struct cpufreq_key {
	__u32 generation;
	char comm[COMM_LEN];
};
