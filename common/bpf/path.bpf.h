/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Full paths without bpf_d_path(), which few hooks may call. 5.10+. */
#pragma once
#include "abi/path.h"
#include "bpf/core.bpf.h"

/* One walk under way. It lies here, and its steps are taken by a global function, because the
 * verifier checks such a function once, not once for each of PATH_WALK_STEPS rounds: 5.10 took
 * seconds, under emulation, for a tool with three walks. */
struct path_walker {
	__u64 owner; /* who walks; 0: nobody */
	struct dentry *dentry, *root;
	struct mount *mount;
	__u32 used;
	char names[PATH_WALK_LEN];
};

/* Where the kernel preempts itself, a second program may walk on the same CPU: it takes the second. */
#define PATH_WALKERS 2

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PATH_WALKERS);
	__type(key, __u32);
	__type(value, struct path_walker);
} cb_path_walkers SEC(".maps");

/* Adds a name, or goes over to the mount above; false: there is no further. */
__noinline int path_step(__u32 slot, __u64 owner)
{
	struct path_walker *w = bpf_map_lookup_elem(&cb_path_walkers, &slot);
	struct dentry *dentry, *parent;
	__u32 at;
	long n;

	if (!w || w->owner != owner)
		return 0;
	dentry = w->dentry;
	parent = BPF_CORE_READ(dentry, d_parent);
	at = w->used;
	if (at > PATH_WALK_LEN - PATH_NAME_LEN - 1)
		return 0;
	/* What is in no directory (a memfd) has a name and is its own parent. */
	if (dentry == w->root || (dentry == parent && at)) {
		/* Not BPF_CORE_READ(w->mount, ...): that would relocate path_walker too. */
		struct mount *mount = w->mount, *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount || dentry != w->root) {
			w->names[at] = '\0';
			w->used = at + 1;
			return 0;
		}
		w->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		w->root = BPF_CORE_READ(above, mnt.mnt_root);
		w->mount = above;
		return 1;
	}
	n = bpf_probe_read_kernel_str(w->names + at, PATH_NAME_LEN,
				      BPF_CORE_READ(dentry, d_name.name));
	if (n <= 0)
		return 0;
	w->used = at + n;
	w->dentry = parent;
	return 1;
}

/* A walk is a loop of loops: the verifier goes through each of PATH_WALK_STEPS turns of one loop, for
 * each walk of each program, but through PATH_ROUND turns of this one once (6.12, statsnoop's seven
 * programs: 59 ms of loading instead of 120). */
#define PATH_ROUND 16

__noinline int path_round(__u32 slot, __u64 owner)
{
	for (int step = 0; step < PATH_ROUND; step++)
		if (!path_step(slot, owner))
			return 0;
	return 1;
}

/* Writes the names of `dentry` and of what is above it, across mounts, into `out`, which has room
 * for PATH_WALK_LEN bytes, and how many bytes it wrote into *used. A walk cut short ends without
 * an empty name; a whole one ends with it. Where all walkers are busy it is cut after one name. */
static __always_inline void path_walk(struct dentry *dentry, struct vfsmount *vfsmount, char *out,
				      volatile __u16 *used)
{
	struct mount *mount = container_of(vfsmount, struct mount, mnt);
	__u64 owner = bpf_get_current_pid_tgid() | 1ULL << 63; /* 0 is the idle task */
	struct path_walker *w;
	__u32 slot = 0, n;
	long own;

	*used = 0;
	w = bpf_map_lookup_elem(&cb_path_walkers, &slot);
	if (w && w->owner) {
		slot = 1;
		w = bpf_map_lookup_elem(&cb_path_walkers, &slot);
	}
	if (w && !w->owner) {
		w->owner = owner;
		w->dentry = dentry;
		w->root = BPF_CORE_READ(mount, mnt.mnt_root);
		w->mount = mount;
		w->used = 0;
		for (int round = 0; round < PATH_WALK_STEPS / PATH_ROUND; round++)
			if (!path_round(slot, owner))
				break;
		n = w->used;
		if (n <= PATH_WALK_LEN && w->owner == owner &&
		    !bpf_probe_read_kernel(out, n, w->names))
			*used = n;
		if (w->owner == owner) /* not of one that came in between */
			w->owner = 0;
		if (*used)
			return;
	}
	own = bpf_probe_read_kernel_str(out, PATH_NAME_LEN, BPF_CORE_READ(dentry, d_name.name));
	if (own > 0 && own <= PATH_NAME_LEN)
		*used = own;
}

/* The running task's file of a descriptor; NULL: it has none. */
static __noinline struct file *path_file(int fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	return file;
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
		struct file *file = path_file(dfd);

		if (!file)
			return;
		BPF_CORE_READ_INTO(&path, file, f_path);
	}
	path_walk(path.dentry, path.mnt, out, used);
}

/* An empty path. */
static __always_inline __u64 path_record_none(struct path_record *record)
{
	record->path_len = 0;
	record->dir_len = 0;
	return offsetof(struct path_record, data);
}

/* Fills *record, which is in map memory, with the path of the running task's working directory;
 * returns the size of what is used. */
static __always_inline __u64 path_record_cwd(struct path_record *record)
{
	record->path_len = 0;
	path_walk_dfd(-100 /* AT_FDCWD */, record->data, &record->dir_len);
	return offsetof(struct path_record, data) + record->dir_len;
}

/* Fills *record, which is in map memory, with the path at `path` in user memory or, if `copied` is
 * not 0, with that many bytes of a path that the kernel has copied; with `full`, a relative one,
 * unless empty, gets the directory that `dfd` stands for. Returns the size of what is used. */
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
	else if (!n)
		n = 1; /* an empty text: only of others the helper counts the NUL */
	if (n == PATH_LEN && !copied) /* cut, unless it is as long as the kernel takes */
		bpf_probe_read_user(record->data + PATH_LEN - 1, 1, path + PATH_LEN - 1);
	record->path_len = n;
	if (full && n > 1 && record->data[0] != '/')
		path_walk_dfd(dfd, record->data + n, &record->dir_len);
	return offsetof(struct path_record, data) + n + record->dir_len;
}
