/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Disks, on both sides. */
#pragma once
#include "abi/types.h"

#define DISK_NAME_LEN 32 /* linux/blkdev.h */

/* Which disk's requests; zero: those of all. */
struct disk_filter {
	__u64 first_sector; /* with sectors: only those that begin in this part of the disk */
	__u64 sectors;
	__u32 device;       /* only this one: major << 20 | minor */
	bool by_name;       /* only those that are called `first`, or */
	bool numbered;      /* `first`, a number, `last` */
	char first[DISK_NAME_LEN];
	char last[DISK_NAME_LEN];
};

/* A disk as it was when its first request was seen. */
struct disk_note {
	__u64 id; /* of this disk and no other that gets its number later */
	char name[DISK_NAME_LEN];
	bool wanted; /* its name is the filter's */
};
