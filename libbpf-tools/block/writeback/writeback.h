/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* As long as the name of a disk (DISK_NAME_LEN) and that of a backing device, or cut. */
#define WRITEBACK_NAME_LEN 32

/* The kernel's enum wb_reason, whose values differ between kernels. */
enum writeback_reason {
	WRITEBACK_BACKGROUND,
	WRITEBACK_VMSCAN,
	WRITEBACK_SYNC,
	WRITEBACK_PERIODIC,
	WRITEBACK_LAPTOP_TIMER,
	WRITEBACK_FS_FREE_SPACE,
	WRITEBACK_FORKER_THREAD,
	WRITEBACK_FOREIGN_FLUSH,
	WRITEBACK_DONTCACHE,
	WRITEBACK_OTHER, /* of a later kernel */
	WRITEBACK_REASONS,
};

struct writeback_event {
	__u64 time_ns; /* of the end */
	__u64 ns;
	__u64 pages;
	__u64 cgroup; /* whose memory it is; 0: not known */
	__u32 reason;
	__u32 tid;
	char device[WRITEBACK_NAME_LEN]; /* the disk; where there is none, as `bdi` */
	char bdi[WRITEBACK_NAME_LEN];    /* the kernel's name of it, as 8:0 */
};
