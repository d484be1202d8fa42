// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/mode.bpf.h"
#include "../layers.bpf.h"
#include "bpf/path_mount.bpf.h"
#include "filegone.h"

const volatile struct gone_config cfg = {};

/* A slot for each program: one may interrupt another where the kernel preempts itself. */
EVENT_SCRATCH(struct gone_event, 3)

static __always_inline int gone(void *ctx, __u32 slot, enum gone_action action,
				struct dentry *dentry, struct dentry *target, bool typed)
{
	struct gone_event *e;
	struct vfsmount *mnt;
	__u64 size, used;

	if ((!cfg.layers && is_done_in_layer(dentry)) || !filter_current())
		return 0;
	e = event_scratch(slot);
	if (!e)
		return 0;
	task_info_read(&e->task, typed);
	e->directory = (BPF_CORE_READ(dentry, d_inode, i_mode) & S_IFMT) == S_IFDIR;
	if (action == GONE_RENAME && BPF_CORE_READ(target, d_inode))
		action = GONE_REPLACE;
	e->action = action;
	e->old_len = 0;
	e->new_len = 0;
	mnt = path_mount_of(dentry);
	if (mnt) {
		path_walk(dentry, mnt, e->data, &e->old_len);
		used = *(volatile __u16 *)&e->old_len;
		if (target && used <= PATH_WALK_LEN)
			path_walk(target, mnt, e->data + used, &e->new_len);
	}
	size = offsetof(struct gone_event, data) + *(volatile __u16 *)&e->old_len +
	       *(volatile __u16 *)&e->new_len;
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

/* Called for a name that was deleted, of a file or a directory, while it still is there, and not
 * where deleting failed. The arguments of these three are the same on every kernel, those of
 * vfs_unlink(), vfs_rmdir() and vfs_rename() are not, and 5.10 does not call its vfs_rmdir(). */
SEC("fentry/d_delete")
int BPF_PROG(delete_fentry, struct dentry *dentry)
{
	return gone(ctx, 0, GONE_DELETE, dentry, NULL, true);
}
SEC("kprobe/d_delete")
int BPF_KPROBE(delete_kprobe, struct dentry *dentry)
{
	return gone(ctx, 0, GONE_DELETE, dentry, NULL, false);
}

/* `target` is the name that `dentry` is about to take. */
SEC("fentry/d_move")
int BPF_PROG(move_fentry, struct dentry *dentry, struct dentry *target)
{
	return gone(ctx, 1, GONE_RENAME, dentry, target, true);
}
SEC("kprobe/d_move")
int BPF_KPROBE(move_kprobe, struct dentry *dentry, struct dentry *target)
{
	return gone(ctx, 1, GONE_RENAME, dentry, target, false);
}

SEC("fentry/d_exchange")
int BPF_PROG(exchange_fentry, struct dentry *one, struct dentry *other)
{
	return gone(ctx, 2, GONE_EXCHANGE, one, other, true);
}
SEC("kprobe/d_exchange")
int BPF_KPROBE(exchange_kprobe, struct dentry *one, struct dentry *other)
{
	return gone(ctx, 2, GONE_EXCHANGE, one, other, false);
}
