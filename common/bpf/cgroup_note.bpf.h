/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The path of a cgroup, of any hierarchy. 5.10+. */
#pragma once
#include "abi/cgroup_note.h"
#include "bpf/core.bpf.h"

/* 6.12 has it so, 7.2 as __parent. */
struct kernfs_node___unguarded {
	struct kernfs_node *parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___unguarded *old = (void *)node;

	if (bpf_core_field_exists(old->parent))
		return BPF_CORE_READ(old, parent);
	return BPF_CORE_READ(node, __parent);
}

/* Fills *note, which is zeroed map memory. */
static __noinline int cgroup_note_fill(struct cgroup_note *note, struct kernfs_node *node)
{
	__u32 used = 0;

	if (!note)
		return 0;
	for (int depth = 0; depth < CGROUP_DEPTH; depth++) {
		struct kernfs_node *parent = kernfs_parent(node);
		long n;

		if (!parent) { /* the root: its name is empty */
			note->used = used;
			break;
		}
		if (used > CGROUP_NAMES_LEN - CGROUP_NAME_LEN)
			break;
		n = bpf_probe_read_kernel_str(note->names + used, CGROUP_NAME_LEN,
					      BPF_CORE_READ(node, name));
		if (n <= 0)
			break;
		used += n;
		node = parent;
	}
	return 0;
}
