/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What fsslower and fsdist share: entries of a file system's operations, whose functions user space
 * chooses for the file system that was asked for (filesystems.cpp). 5.10+. */
#pragma once
#include "bpf/mode.bpf.h"
#include "filesystem.h"

#define CALL_KINDS FS_OPS
#include "call_time.bpf.h"

#define EIOCBQUEUED 529

/* A read or write that goes on after its function has returned is not timed. */
static __always_inline bool fs_done(long ret)
{
	return asked_for(ret != -EIOCBQUEUED);
}

static __always_inline int fs_enter(__u32 op, bool kprobe)
{
	if (filter_current())
		call_enter(op, kprobe);
	return 0;
}

#define FS_FENTRY(name, op) \
	SEC("fentry/%" #name) int name##_fentry(void *ctx) { return fs_enter(op, false); }

FS_FENTRY(read, FS_READ)
FS_FENTRY(write, FS_WRITE)
FS_FENTRY(open, FS_OPEN)
FS_FENTRY(open4, FS_OPEN)
FS_FENTRY(atomic, FS_OPEN)
FS_FENTRY(fsync, FS_FSYNC)
FS_FENTRY(getattr, FS_GETATTR)
FS_FENTRY(commit, FS_COMMIT)

/* Whether nfs_atomic_open() was the open, successful or not: what it leaves to others it answers
 * with finish_no_open(), and then comes %open or %open4 for the same file. */
static __always_inline bool fs_opened(struct file *file, int ret)
{
	return ret || BPF_CORE_READ(file, f_mode) & FMODE_OPENED;
}

/* 549c7297717c (v5.12): getattr got the mount's user namespace, later its idmap, as first argument;
 * so did this struct, in three spellings. */
struct renamedata___v5_12 { struct user_namespace *old_mnt_userns; } __attribute__((preserve_access_index));
struct renamedata___v6_3 { struct mnt_idmap *old_mnt_idmap; } __attribute__((preserve_access_index));
struct renamedata___v6_17 { struct mnt_idmap *mnt_idmap; } __attribute__((preserve_access_index));

#define FS_GETATTR_HAS_IDMAP                                                            \
	(bpf_core_field_exists(((struct renamedata___v5_12 *)0)->old_mnt_userns) ||     \
	 bpf_core_field_exists(((struct renamedata___v6_3 *)0)->old_mnt_idmap) ||       \
	 bpf_core_field_exists(((struct renamedata___v6_17 *)0)->mnt_idmap))
