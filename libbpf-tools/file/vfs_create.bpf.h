/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* vfs_create(): what makes regular files but open(2), which is mknod(2) above all. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"

struct renamedata___userns {
	struct user_namespace *old_mnt_userns;
} __attribute__((preserve_access_index));

/* Which argument the new name is: the second, behind the directory (5.10); the third, since a user
 * namespace (6.1) or an idmap (6.12) is the first; the second, as the directory is left out (7.2, with
 * struct delegated_inode). */
static __always_inline struct dentry *vfs_create_name(struct dentry *second, struct dentry *third)
{
	/* Or clang makes one load from an address that it chooses. */
	barrier_var(second);
	barrier_var(third);
	if (bpf_core_type_exists(struct delegated_inode))
		return second;
	if (bpf_core_type_exists(struct mnt_idmap) ||
	    bpf_core_field_exists(struct renamedata___userns, old_mnt_userns))
		return third;
	return second;
}
