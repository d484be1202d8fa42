/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An open file by the name that /proc/PID/fd shows. */
#pragma once
#include "abi/path.h"

#define MAGIC_SOCKET 0x534f434b /* linux/magic.h */
#define MAGIC_PIPE 0x50495045
#define MAGIC_ANON 0x09041934
#define MAGIC_PIDFD 0x50494446
#define MAGIC_NAMESPACE 0x6e736673

struct file_name {
	__u64 inode;
	__u32 magic;  /* of its file system */
	bool known;   /* there is such a file */
	bool deleted; /* it has no name any more */
	struct path_record path; /* of what lies on no file system, the bare name */
};
