/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

struct netqtop_config {
	__u32 ifindex, netns; /* the device */
};

#define NETQ_SIZES 5 /* below 64, 512, 2048, 16384, 65536; larger ones are in none */

struct netq_key {
	__u32 generation;
	__u16 queue;
	__u16 received;
};

struct netq_counts {
	__u64 packets, bytes;
	__u64 sizes[NETQ_SIZES];
};

/* For --where. */
struct netq_event {
	__u64 bytes;
	__u32 queue;
	__u32 received;
};
