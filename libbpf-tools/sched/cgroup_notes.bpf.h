/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The names of cgroups (v2), noted when one is first seen: it may be gone when a report shows it. 5.10+. */
#pragma once
#include "bpf/cgroup_note.bpf.h"
#include "cgroup_notes.h"

HASH_MAP(cb_cgroup_notes, __u64, struct cgroup_note, CGROUP_NOTES);

/* The numbers of those that have a note, by a hash. One that has to share its place is looked up. */
#define KNOWN_CGROUPS_BITS 8
__u64 cb_known_cgroups[1 << KNOWN_CGROUPS_BITS];

static __noinline int cgroup_learn(__u64 id, struct kernfs_node *node)
{
	static const struct cgroup_note zero;

	if (bpf_map_update_elem(&cb_cgroup_notes, &id, &zero, BPF_NOEXIST))
		return 0; /* it is known, or there is no room: its number is shown */
	return cgroup_note_fill(bpf_map_lookup_elem(&cb_cgroup_notes, &id), node);
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
