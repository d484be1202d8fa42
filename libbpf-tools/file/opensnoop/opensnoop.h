/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/path.h"

struct open_config {
	__u32 flag_mask; /* only opens with one of these flags */
	bool failed;
	bool full_path;
};

#define OPEN_RESULT_UNKNOWN (-0x7fffffff) /* io_uring before 5.19, from a worker thread */

struct open_event {
	__u64 time_ns;
	__u32 pid, tid, uid;
	__s32 ret;
	__u32 flags, mode;
	__u16 path_len; /* with its NUL; 0: the path could not be read */
	__u16 dir_len;  /* of what path_walk() wrote, for relative paths with -F */
	char comm[COMM_LEN];
	char data[PATH_LEN + PATH_WALK_LEN]; /* path, then directory; only what is used is sent */
};
