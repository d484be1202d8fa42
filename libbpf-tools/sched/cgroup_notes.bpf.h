/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The names of cgroups (v2), noted when one is first seen: it may be gone when a report shows it. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"
#include "cgroup_notes.h"

HASH_MAP(cb_cgroup_notes, __u64, struct cgroup_note, CGROUP_NOTES);

/* The numbers of those that have a note, by a hash. One that has to share its place is looked up. */
#define KNOWN_CGROUPS_BITS 8
__u64 cb_known_cgroups[1 << KNOWN_CGROUPS_BITS];

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

static __noinline int cgroup_learn(__u64 id, struct kernfs_node *node)
{
	static const struct cgroup_note zero;
	struct cgroup_note *note;
	__u32 used = 0;

	if (bpf_map_update_elem(&cb_cgroup_notes, &id, &zero, BPF_NOEXIST))
		return 0; /* it is known, or there is no room: its number is shown */
	note = bpf_map_lookup_elem(&cb_cgroup_notes, &id);
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

/* The number of a task's cgroup, of which user space will want the name. */
static __always_inline __u64 cgroup_named(struct task_struct *task)
{
	struct kernfs_node *node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	__u64 id = BPF_CORE_READ(node, id);
	/* Fibonacci hashing */
	__u32 place = id * 0x9e3779b97f4a7c15 >> (64 - KNOWN_CGROUPS_BITS);

	if (cb_known_cgroups[place] != id) {
		cb_known_cgroups[place] = id;
		cgroup_learn(id, node);
	}
	return id;
}
