/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A directory on its way to user space: its names from the deepest up, each with its NUL. */
#pragma once
#include "abi/types.h"

#define PATH_NAME_LEN 256  /* NAME_MAX and the NUL */
#define PATH_WALK_LEN 4096 /* bytes of names at most */
#define PATH_WALK_STEPS 128 /* names and mounts crossed at most */

/* A path as it was given and, if that is relative, the directory it starts from. The end of a
 * record: only what is used is sent. */
struct path_record {
	__u16 path_len; /* with its NUL, in whose place is another byte if it was cut; 0: the path */
			/* could not be read */
	__u16 dir_len;  /* of the names from the deepest up */
	char data[PATH_LEN + PATH_WALK_LEN];
};
