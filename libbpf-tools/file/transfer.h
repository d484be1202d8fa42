/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

struct transfer_config {
	bool no_reads, no_writes;
};

struct transfer_sums {
	__u64 reads, writes;           /* calls, failed ones too */
	__u64 read_bytes, write_bytes; /* transferred */
};
