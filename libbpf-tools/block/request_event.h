/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What --where may ask of a request that is counted. */
#pragma once
#include "disk.h"
#include "request.h"

struct request_event {
	__u64 lat_ns; /* as the tool measures it */
	__u64 sector;
	__u32 bytes;
	__u32 kind; /* enum request_kind */
	__u32 pid, tid; /* who asked for it, where the tool knows */
	char comm[COMM_LEN];
	char disk[DISK_NAME_LEN];
};
