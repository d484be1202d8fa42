/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/path.h"

/* An element of a per-CPU map is at most 32 KiB (PCPU_MIN_UNIT_SIZE): that is a usual record with
 * the longest file name and directory. Longer arguments take a record in the ring itself. */
#define EXEC_ARGS_LEN 24320
#define EXEC_BIG_ARGS_LEN (256 << 10)

struct exec_config {
	bool cwd;
	bool keeps_calls; /* from their entry to their return */
};

struct exec_event {
	__u64 time_ns;
	__u32 pid, ppid, uid, cpu;
	__s32 ret;
	__s32 dfd;      /* of a failed execveat; else AT_FDCWD */
	__u32 args_len; /* bytes of arguments, each with its NUL */
	__u16 filename_len; /* with its NUL; 0: could not be read */
	__u16 cwd_len;  /* of what path_walk() wrote */
	__u8 by_interpreter; /* its interpreter's words stand before the arguments */
	__u8 cut;       /* there are more arguments */
	char comm[COMM_LEN], pcomm[COMM_LEN];
	char data[PATH_LEN + PATH_WALK_LEN + EXEC_ARGS_LEN]; /* filename, directory, arguments */
};

/* The same with room for more. */
struct exec_big_event {
	char bytes[sizeof(struct exec_event) - EXEC_ARGS_LEN + EXEC_BIG_ARGS_LEN];
};
