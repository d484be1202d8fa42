/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Full paths where a hook has a dentry and no mount: which mount the caller most likely sees the file
 * system through. Apart from path.bpf.h, since its global functions and types are loaded with every
 * program of an object that has them (opensnoop started 4 ms later for them). 5.10+. */
#pragma once
#include "bpf/path.bpf.h"

/* Before 7.0 (measured: 6.12 has it so, 7.2 not) a superblock heads a list of its mounts. */
struct super_block___list {
	struct list_head s_mounts;
} __attribute__((preserve_access_index));

struct mount___list {
	struct list_head mnt_instance;
} __attribute__((preserve_access_index));

/* Every container that sees some of a file system has a mount of it or more: 256 are looked at, in
 * rounds, as path_round() goes up a path (6.12's verifier took seconds for them in one loop). */
#define PATH_MOUNTS_ROUND 8
#define PATH_MOUNTS_ROUNDS 32
#define PATH_MOUNT_HERE 1 /* in an address, which is even */

/* Functions of their own: else clang moves the relocations, of which a kernel resolves one side
 * only, out of the branch that it takes (seen on 6.12). */
static __noinline struct mount *path_mount_chained(struct super_block *sb, struct mount *last)
{
	return last ? BPF_CORE_READ(last, mnt_next_for_sb) : BPF_CORE_READ(sb, s_mounts);
}

static __noinline struct mount *path_mount_listed(struct super_block *sb, struct mount *last)
{
	struct super_block___list *listed = (void *)sb;
	struct mount___list *mount = (void *)last;
	void *head = (void *)sb + bpf_core_field_offset(listed->s_mounts);
	void *next = last ? BPF_CORE_READ(mount, mnt_instance.next) :
			    BPF_CORE_READ(listed, s_mounts.next);

	if (!next || next == head)
		return NULL;
	return next - bpf_core_field_offset(mount->mnt_instance);
}

static __noinline struct mount *path_mount_after(struct super_block *sb, struct mount *last)
{
	return bpf_core_field_exists(last->mnt_next_for_sb) ? path_mount_chained(sb, last) :
							      path_mount_listed(sb, last);
}

/* To the next mount of a superblock after `last`, 0: the first, that is in the running task's
 * namespace and, if `whole`, is of the whole file system: its address | PATH_MOUNT_HERE. Or as far as a
 * round goes; 0: there are no more. */
__noinline __u64 path_mnt_round(__u64 sb, __u64 last, __u32 whole)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct mnt_namespace *ns = BPF_CORE_READ(task, nsproxy, mnt_ns);
	struct super_block *super = (void *)sb;
	struct dentry *root = BPF_CORE_READ(super, s_root);

	for (int i = 0; i < PATH_MOUNTS_ROUND; i++) {
		struct mount *mount = path_mount_after(super, (void *)last);

		if (!mount)
			return 0;
		last = (__u64)mount;
		if (BPF_CORE_READ(mount, mnt_ns) == ns &&
		    (!whole || BPF_CORE_READ(mount, mnt.mnt_root) == root))
			return last | PATH_MOUNT_HERE;
	}
	return last;
}

/* The first such mount; 0: there is none. */
__noinline __u64 path_mnt_first(__u64 sb, __u32 whole)
{
	__u64 at = 0;

	for (int i = 0; i < PATH_MOUNTS_ROUNDS; i++) {
		at = path_mnt_round(sb, at, whole);
		if (!at)
			return 0;
		if (at & PATH_MOUNT_HERE)
			return at & ~(__u64)PATH_MOUNT_HERE;
	}
	return 0;
}

/* The best mount of a superblock: of those in the running task's namespace one of the whole file
 * system, else the first there, else the first of all. Two searches without a memory of their own: one
 * that remembers the second best took the verifier 12 ms for each program. */
__noinline __u64 path_mount_best(__u64 sb)
{
	__u64 best = path_mnt_first(sb, true);

	if (!best)
		best = path_mnt_first(sb, false);
	return best ? best : (__u64)path_mount_after((void *)sb, NULL);
}

/* A mount that the file system of `dentry` is seen through. NULL: it is mounted nowhere. */
static __always_inline struct vfsmount *path_mount_of(struct dentry *dentry)
{
	struct mount *best = (void *)path_mount_best((__u64)BPF_CORE_READ(dentry, d_sb));

	return best ? (void *)best + bpf_core_field_offset(best->mnt) : NULL;
}

/* Fills *record, which is in map memory, with the full path of a dentry: user space reads it with
 * path_of(). `mnt` is the mount it was reached through; NULL where a hook does not tell. Returns the
 * size of what is used. */
static __always_inline __u64 path_record_dentry(struct path_record *record, struct dentry *dentry,
						struct vfsmount *mnt)
{
	record->path_len = 0;
	record->dir_len = 0;
	if (!mnt)
		mnt = path_mount_of(dentry);
	if (mnt)
		path_walk(dentry, mnt, record->data, &record->dir_len);
	return offsetof(struct path_record, data) + record->dir_len;
}
