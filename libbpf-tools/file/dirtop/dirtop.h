/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task_event.h"
#include "../transfer.h"

struct dir_id {
	__u64 inode;
	__u32 dev; /* major << 20 | minor */
	__u32 unused;
};

/* Most directories on a file's way up are none that was asked for: a bit of these tells. */
#define DIR_BITS 256
#define DIR_BIT(inode, dev) (((inode) ^ (dev) ^ (inode) >> 8) & (DIR_BITS - 1))

struct dir_key {
	__u32 generation;
	__u32 dir; /* its number, by which user space knows its name */
};

/* For --where. */
struct dirtop_event {
	struct task_event task;
	__s64 bytes; /* or a negative errno */
	__u32 write;
	__u32 unused;
};
