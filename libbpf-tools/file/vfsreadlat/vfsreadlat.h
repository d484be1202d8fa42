/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/hist.h"

struct vfsreadlat_config {
	__u64 unit_ns; /* of the histogram */
	bool by_process;
};

struct vfsreadlat_key {
	__u32 generation;
	__u32 pid;
	char comm[COMM_LEN];
};
