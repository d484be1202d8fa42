/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of open files, taken where the kernel holds the file. 5.10+. */
#pragma once
#include "bpf/path.bpf.h"
#include "file_name.h"

/* Fills *name, which is in map memory and ends a record; NULL: there is no such file. Returns the
 * size of what is used. */
static __always_inline __u64 file_name_fill(struct file_name *name, struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	const char *text = NULL;
	long n;

	name->known = file;
	name->inode = BPF_CORE_READ(inode, i_ino);
	name->magic = BPF_CORE_READ(inode, i_sb, s_magic);
	/* d_unlinked(), linux/dcache.h; and what never had a directory (memfd): simple_dname(). */
	name->deleted = !BPF_CORE_READ(dentry, d_hash.pprev) &&
			(BPF_CORE_READ(dentry, d_parent) != dentry ||
			 BPF_CORE_READ(file, f_path.mnt, mnt_root) != dentry);
	name->path.path_len = 0;
	name->path.dir_len = 0;
	switch (name->magic) {
	case MAGIC_ANON:
		text = (const char *)BPF_CORE_READ(dentry, d_name.name);
		break;
	case MAGIC_NAMESPACE: {
		struct ns_common *ns = BPF_CORE_READ(inode, i_private);

		text = BPF_CORE_READ(ns, ops, name);
		break;
	}
	case MAGIC_SOCKET:
	case MAGIC_PIPE:
	case MAGIC_PIDFD:
		break;
	default:
		if (file)
			path_walk(dentry, BPF_CORE_READ(file, f_path.mnt), name->path.data,
				  &name->path.dir_len);
		return offsetof(struct file_name, path.data) + name->path.dir_len;
	}
	n = text ? bpf_probe_read_kernel_str(name->path.data, PATH_NAME_LEN, text) : 0;
	if (n < 0 || n > PATH_NAME_LEN)
		n = 0;
	name->path.path_len = n;
	return offsetof(struct file_name, path.data) + n;
}
