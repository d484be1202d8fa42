/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define VIRTIOSTAT_NAME_LEN 32

struct virtiostat_key {
	__u32 generation;
	__u32 unused;
	__u64 queue; /* address of the struct virtqueue */
};

struct virtiostat_value {
	__u64 buffers; /* additions to the queue */
	__u64 in_sgs, out_sgs; /* scatterlists: what the device writes, what it reads */
	__u64 in_bytes, out_bytes;
	__u32 index; /* of the queue in its device */
	__u32 unused;
	char driver[VIRTIOSTAT_NAME_LEN];
	char device[VIRTIOSTAT_NAME_LEN];
	char queue[VIRTIOSTAT_NAME_LEN];
};
