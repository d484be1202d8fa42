/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../request.h"
#include "abi/path.h"

struct biosnoop_config {
	__u64 min_ns;     /* only requests that took as long */
	__u64 direct_end; /* address of iomap_dio_bio_end_io(); 0: not known */
	bool files;
};

struct biosnoop_request {
	__u64 time_ns;  /* when it completed */
	__u64 queue_ns; /* from when it was made until it was issued */
	__u64 lat_ns;   /* from then on */
	__u64 sector;
	__u32 bytes;
	__u32 disk;     /* major << 20 | minor */
	__u32 flags;    /* REQUEST_FLAGS, and an enum request_kind below them */
	__s32 error;    /* 0, a negative errno or a positive blk_status_t */
	__u32 pid, tid; /* 0: not known */
	__u32 requeues;
	char comm[COMM_LEN];
	__u32 unused;
};

struct biosnoop_event {
	struct biosnoop_request request;
	struct path_record path; /* with files */
};
