// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../transfer.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/top.bpf.h"
#include "dirtop.h"

#define STEPS 64 /* directories and mounts on one way up at most, in the first mount and above */
#define NO_DIR ~0u

TOP(struct dir_key, struct transfer_sums, 1024)
HASH_MAP(dirs, struct dir_id, __u32, 1024); /* user space makes both as large as it needs */
__u64 dir_bits[DIR_BITS / 64] = {};

/* Global functions: verified once, not at each step of each program's loops. */
__noinline int dir_number(__u64 inode, __u32 dev, __u32 otherwise)
{
	struct dir_id id = { .inode = inode, .dev = dev };
	__u32 bit = DIR_BIT(inode, dev), *number;

	if (!(dir_bits[bit / 64 & (DIR_BITS / 64 - 1)] & 1ull << (bit & 63)))
		return otherwise;
	number = bpf_map_lookup_elem(&dirs, &id);
	return number ? *number : otherwise;
}

/* The topmost that was asked for of the directories above a mount; `found` if there is none. */
__noinline int dir_above(__u64 mount_address, __u32 found)
{
	struct mount *mount = (void *)mount_address, *above = BPF_CORE_READ(mount, mnt_parent);
	struct dentry *dentry;

	if (above == mount)
		return found;
	dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	mount = above;
	for (int step = 0; step < STEPS; step++) {
		found = dir_number(BPF_CORE_READ(dentry, d_inode, i_ino),
				   BPF_CORE_READ(dentry, d_sb, s_dev), found);
		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			above = BPF_CORE_READ(mount, mnt_parent);
			if (above == mount)
				break;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		dentry = BPF_CORE_READ(dentry, d_parent);
	}
	return found;
}

static __noinline int holds(long ret, bool write)
{
	struct dirtop_event e = { .bytes = ret, .write = write };

	task_event_current(&e.task, 0);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline void transferred(struct file *file, long ret, bool write, bool direct)
{
	struct vfsmount *mnt = READ_FIELD(direct, file, f_path.mnt);
	struct dentry *dentry = READ_FIELD(direct, file, f_path.dentry);
	struct dentry *root = READ_FIELD(direct, mnt, mnt_root);
	struct super_block *sb = READ_FIELD(direct, dentry, d_sb);
	__u32 dev = READ_FIELD(direct, sb, s_dev);
	struct dir_key key = { .dir = NO_DIR };
	struct transfer_sums *sums;
	bool made;

	for (int step = 0; step < STEPS; step++) {
		struct inode *inode;

		if (dentry == root) {
			/* Read once more: a pointer with a type may not go to a global function. */
			mnt = BPF_CORE_READ(file, f_path.mnt);
			key.dir = dir_above((__u64)container_of(mnt, struct mount, mnt), key.dir);
			break;
		}
		dentry = READ_FIELD(direct, dentry, d_parent);
		inode = READ_FIELD(direct, dentry, d_inode);
		key.dir = dir_number(READ_FIELD(direct, inode, i_ino), dev, key.dir);
	}
	if (!asked_for(key.dir != NO_DIR) || (cb_where_on && !holds(ret, write)))
		return;
	sums = top_entry(&key, &made);
	if (sums)
		transfer_add(sums, ret, write);
}
