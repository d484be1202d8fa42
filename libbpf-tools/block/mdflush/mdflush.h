/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../disk.h"
#include "abi/task.h"

struct mdflush_config {
	__u32 disk;   /* only this array: major << 20 | minor; 0: all */
	bool latency; /* wait for the end */
};

struct mdflush_event {
	struct task_info task;
	__u32 bytes;  /* that are written behind the flush */
	__u64 lat_ns; /* until it and they are done; with latency */
	char disk[DISK_NAME_LEN];
	__u32 status; /* the bio's, a blk_status_t; with latency */
	__u32 unused;
};
