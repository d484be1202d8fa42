/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of cgroups that have been seen, on both sides. */
#pragma once
#include "abi/types.h"

#define CGROUP_DEPTH 16
#define CGROUP_NAME_LEN 256 /* NAME_MAX and its NUL */
#define CGROUP_NAMES_LEN 768
#define CGROUP_NOTES 1024

struct cgroup_note {
	__u32 used; /* of the names, from the cgroup's own up; 0: not all of them found room */
	char names[CGROUP_NAMES_LEN];
};
