/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../transfer.h"
#include "abi/path.h"
#include "abi/task_event.h"

struct filetop_config {
	__u64 dir_inode; /* with by_dir: only files whose parent is this directory */
	__u32 dir_dev;   /* as the kernel writes it: major << 20 | minor */
	bool by_dir;
	bool all_types; /* not only regular files */
};

struct file_key {
	__u32 generation;
	__u32 tid;
	__u64 inode;
	__u32 dev; /* of the file system, as in dir_dev */
	__u32 unused;
};

struct file_stat {
	struct transfer_sums sums;
	__u32 pid;
	__u32 mode; /* of the inode */
	char comm[COMM_LEN];
	char name[PATH_NAME_LEN];
};

#define FILETOP_NAME_LEN 128 /* longer names are cut: the stack has 512 bytes */

/* For --where. */
struct filetop_event {
	struct task_event task;
	__s64 bytes; /* or a negative errno */
	__u64 inode;
	__u32 mode;
	__u32 write;
	char name[FILETOP_NAME_LEN];
};
