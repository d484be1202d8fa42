/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What overlayfs does in its layers on behalf of a caller, who has asked for the same, once, in the
 * overlay. 5.10+.
 *
 * Two facts together tell such a call from everything else. overlayfs works in a layer with the
 * credentials of the one who mounted it (ovl_override_creds()), so that the task has two kinds of
 * them, as the NFS server, io_uring and core dumps have too. And it writes only below an upper or work
 * directory that a mounted overlay uses, whose inode the kernel marks (ovl_inuse_trylock()). */
#pragma once
#include "bpf/core.bpf.h"

/* Before it was a structure, whose bits have names in an enum, it was a number, at last of 32 bits. */
struct inode___state_number {
	unsigned long i_state;
} __attribute__((preserve_access_index));

/* I_OVL_INUSE, linux/fs.h: bit 14, but 13 for a part of the time in which it had 32 bits (6.12). The
 * other of the two then says that the inode is being made, which no directory in use is, or that
 * another cgroup begins to write it back, which is rare and over at once. */
#define OVERLAY_IN_USE (1u << 14)
#define OVERLAY_IN_USE_32 (1u << 14 | 1u << 13)

/* On the way up from a directory as in path_round(): the verifier goes through a round once. */
#define LAYER_ROUND 16
#define LAYER_ROUNDS 16
#define LAYER_FOUND 1 /* in an address, which is even */

static __always_inline bool is_layer(struct inode *inode)
{
	struct inode___state_number *old = (void *)inode;
	__u32 state = 0, at, in_use;

	if (bpf_core_field_exists(inode->i_state.__state)) {
		at = bpf_core_field_offset(inode->i_state.__state);
		in_use = bpf_core_enum_value(enum inode_state_flags_enum, I_OVL_INUSE);
	} else {
		at = bpf_core_field_offset(old->i_state);
		in_use = bpf_core_field_size(old->i_state) == sizeof(__u32) ? OVERLAY_IN_USE_32 :
									      OVERLAY_IN_USE;
	}
	bpf_probe_read_kernel(&state, sizeof(state), (void *)inode + at);
	return state & in_use;
}

/* LAYER_FOUND: a layer's directory is there. Else how far it got; 0: the file system's root. */
__noinline __u64 layer_round(__u64 address)
{
	struct dentry *dentry = (void *)address, *parent;

	for (int i = 0; i < LAYER_ROUND; i++) {
		if (is_layer(BPF_CORE_READ(dentry, d_inode)))
			return LAYER_FOUND;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			return 0;
		dentry = parent;
	}
	return (__u64)dentry;
}

static __noinline bool is_below_layer(struct dentry *dentry)
{
	__u64 at = (__u64)BPF_CORE_READ(dentry, d_parent);

	for (int i = 0; i < LAYER_ROUNDS && at > LAYER_FOUND; i++)
		at = layer_round(at);
	return at == LAYER_FOUND;
}

/* Whether it is overlayfs that makes, removes or renames the name `dentry` now. */
static __always_inline bool is_done_in_layer(struct dentry *dentry)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, cred) != BPF_CORE_READ(task, real_cred) && is_below_layer(dentry);
}
