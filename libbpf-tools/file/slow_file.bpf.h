/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The records of fsslower and fileslower. 5.10+. */
#pragma once
#include "bpf/event.bpf.h"
#include "bpf/path_mount.bpf.h"
#include "slow_file.h"

const volatile struct slow_config cfg = {};
/* Of each kind one: where the kernel preempts itself, two may be made on one CPU. */
EVENT_SCRATCH(struct slow_event, CALL_KINDS)

/* overlayfs goes to the file systems below it through mounts of its own, which have no place in any
 * namespace (clone_private_mount(): MNT_NS_INTERNAL, an error pointer). */
static __always_inline bool slow_mount_hidden(struct vfsmount *mnt)
{
	struct mount *mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);

	return (__u64)BPF_CORE_READ(mount, mnt_ns) >= (__u64)-4095;
}

/* Few calls are slow: all that only they need is in one function. */
static __noinline int slow_send(void *ctx, struct slow_event *e, struct dentry *dentry,
				struct vfsmount *mnt)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	__u64 size = offsetof(struct slow_event, path);

	task_info_current(&e->task);
	e->inode = BPF_CORE_READ(inode, i_ino);
	e->mode = BPF_CORE_READ(inode, i_mode);
	if (cfg.full_path && mnt) {
		e->path.path_len = 0;
		e->path.dir_len = 0;
		if (slow_mount_hidden(mnt))
			mnt = path_mount_of(dentry);
		path_walk(dentry, mnt, e->path.data, &e->path.dir_len);
		size += offsetof(struct path_record, data) + e->path.dir_len;
	} else {
		long n = bpf_probe_read_kernel_str(e->path.data, PATH_NAME_LEN,
						   BPF_CORE_READ(dentry, d_name.name));

		if (n < 0 || n > PATH_NAME_LEN)
			n = 0;
		e->path.path_len = n;
		e->path.dir_len = 0;
		size += offsetof(struct path_record, data) + n;
	}
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

static __always_inline int slow_report(void *ctx, __u32 kind, __u64 ns, long ret, __s64 offset,
				       struct dentry *dentry, struct vfsmount *mnt)
{
	struct slow_event *e = event_scratch(kind);

	if (!e)
		return 0;
	e->kind = kind;
	e->lat_ns = ns;
	e->ret = ret;
	e->offset = offset;
	return slow_send(ctx, e, dentry, mnt);
}

static __always_inline int slow_report_file(void *ctx, __u32 kind, __u64 ns, long ret,
					    __s64 offset, struct file *file)
{
	return slow_report(ctx, kind, ns, ret, offset, BPF_CORE_READ(file, f_path.dentry),
			   BPF_CORE_READ(file, f_path.mnt));
}
