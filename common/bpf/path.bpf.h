/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Full paths without bpf_d_path(), which few hooks may call. 5.10+. */
#pragma once
#include "abi/path.h"
#include "bpf/core.bpf.h"

/* Writes the names of `dentry` and of what is above it, across mounts, into `out`, which has room
 * for PATH_WALK_LEN bytes, and how many bytes it wrote into *used. A walk cut short ends without
 * an empty name; a whole one ends with it.
 *
 * *used has to be in map memory, not on the stack: the verifier then knows nothing about it, finds
 * all iterations alike, and is done in milliseconds instead of seconds. */
static __always_inline void path_walk(struct dentry *dentry, struct vfsmount *vfsmount, char *out,
				      volatile __u16 *used)
{
	struct mount *mount = container_of(vfsmount, struct mount, mnt);

	*used = 0;
	for (int step = 0; step < PATH_WALK_STEPS; step++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		struct dentry *root = BPF_CORE_READ(mount, mnt.mnt_root);
		__u32 at = *used;
		long n;

		if (at > PATH_WALK_LEN - PATH_NAME_LEN - 1)
			return;
		if (dentry == root || dentry == parent) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount || dentry != root) {
				out[at] = '\0';
				*used = at + 1;
				return;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		n = bpf_probe_read_kernel_str(out + at, PATH_NAME_LEN,
					      BPF_CORE_READ(dentry, d_name.name));
		if (n <= 0)
			return;
		*used = at + n;
		dentry = parent;
	}
}

/* The directory that a relative path given to a system call with `dfd` starts from. */
static __always_inline void path_walk_dfd(int dfd, char *out, volatile __u16 *used)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct path path = {};

	*used = 0;
	if (dfd == -100 /* AT_FDCWD */) {
		BPF_CORE_READ_INTO(&path, task, fs, pwd);
	} else {
		struct fdtable *table = BPF_CORE_READ(task, files, fdt);
		struct file *file = NULL;

		if (dfd < 0 || (__u32)dfd >= BPF_CORE_READ(table, max_fds))
			return;
		bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + dfd);
		if (!file)
			return;
		BPF_CORE_READ_INTO(&path, file, f_path);
	}
	path_walk(path.dentry, path.mnt, out, used);
}

/* Fills *record, which is in map memory, with the path at `path` in user memory or, if `copied` is
 * not 0, with that many bytes of a path that the kernel has copied; with `full`, a relative one
 * gets the directory that `dfd` stands for. Returns the size of what is used. */
static __always_inline __u64 path_record_fill(struct path_record *record, const char *path,
					      __u32 copied, int dfd, bool full)
{
	long n = copied;

	record->dir_len = 0;
	if (!copied)
		n = bpf_probe_read_user_str(record->data, PATH_LEN, path);
	else if (copied <= PATH_LEN)
		bpf_probe_read_kernel(record->data, copied, path);
	if (n < 0 || n > PATH_LEN)
		n = 0;
	record->path_len = n;
	if (full && n && record->data[0] != '/')
		path_walk_dfd(dfd, record->data + n, &record->dir_len);
	return offsetof(struct path_record, data) + n + record->dir_len;
}
