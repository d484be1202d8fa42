/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The path of a cgroup, taken while it exists (bpf/cgroup_note.bpf.h). */
#pragma once
#include "abi/filter.h" /* CGROUP_NAME_LEN */

#define CGROUP_DEPTH 16
#define CGROUP_NAMES_LEN 768

struct cgroup_note {
	__u32 used; /* of the names, from the cgroup's own up; 0: the root, or too many for the room */
	char names[CGROUP_NAMES_LEN];
};
