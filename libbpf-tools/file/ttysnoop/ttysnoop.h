/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

#define TTY_RECORD_LEN 4096  /* bytes of one record at most */
#define TTY_RECORD_MIN 16
#define TTY_WRITE_RECORDS 256 /* of one write: the kernel hands over 2 KiB at a time, rarely 64 */

struct ttysnoop_config {
	__u64 inode;       /* of the device file, and the file system that it lies on */
	__u32 dev;
	__u32 rdev;        /* the terminal's own number */
	__u32 record_size;
	__u32 records;     /* of one write, 0: no limit */
	bool pty;          /* the number is one of several of that name: each devpts has its own */
};

struct tty_event {
	struct task_info task;
	__u32 len;
	char data[TTY_RECORD_LEN];
};
