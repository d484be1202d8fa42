/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/path.h"
#include "abi/task.h"

#define LIFE_BIRTHS 16384 /* files that still live of which the birth is known, at least */

struct life_config {
	bool full_path;
	bool layers; /* what overlayfs makes in its layers too */
};

/* A file, for as long as it exists: numbers of deleted inodes are used again, with another
 * generation. */
struct life_key {
	__u64 inode;
	__u32 device;
	__u32 generation;
};

struct life_birth {
	__u64 time_ns;
	__u32 pid;
};

struct life_event {
	struct task_info task;
	__u64 age_ns;
	__u32 creator;
	bool replaced; /* another file got its name */
	struct path_record path; /* with full_path its names, else its name */
};
