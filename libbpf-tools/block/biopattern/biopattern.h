/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* Of one disk; the counts only grow. */
struct biopattern_disk {
	__u64 end;        /* the sector behind the last request */
	__u64 random, sequential;
	__u64 first;      /* nothing was known of what came before */
	__u64 bytes;
};
