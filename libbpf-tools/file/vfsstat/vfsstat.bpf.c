// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "abi/syscall.h"
#include "bpf/counters.bpf.h"
#include "bpf/mode.bpf.h"
#include "../layers.bpf.h"
#include "../vfs_create.bpf.h"
#include "vfsstat.h"

const volatile struct vfsstat_config cfg = {};

static __always_inline int count(enum vfs_call call)
{
	if (counters_wanted())
		counters_add(call, 1);
	return 0;
}

/* The programs that count the calls of one kernel function. The kernel cuts names at 15 letters. */
#define COUNT(call, name, function) COUNT_IN(call, name, #function)
#define COUNT_IN(call, name, function)                \
	SEC("fentry/" function)                       \
	int BPF_PROG(fentry_##name)                   \
	{                                             \
		return count(call);                   \
	}                                             \
	SEC("kprobe/" function)                       \
	int kprobe_##name(struct pt_regs *ctx)        \
	{                                             \
		return count(call);                   \
	}

COUNT(VFS_READ, read, vfs_read)
COUNT(VFS_READ, readv, vfs_readv)
COUNT(VFS_WRITE, write, vfs_write)
COUNT(VFS_WRITE, writev, vfs_writev)

/* The two hot calls where nobody is left out and there is one CPU: without the loads of the
 * configuration, which are 7 of 144 instructions on 6.12. */
SEC("fentry/vfs_read")
int BPF_PROG(plain_vfs_read)
{
	__sync_fetch_and_add(&cb_counters[0].n[VFS_READ], 1);
	return 0;
}

SEC("fentry/vfs_write")
int BPF_PROG(plain_vfs_write)
{
	__sync_fetch_and_add(&cb_counters[0].n[VFS_WRITE], 1);
	return 0;
}

static __always_inline int count_name(enum vfs_call call, struct dentry *dentry)
{
	return cfg.layers || !is_done_in_layer(dentry) ? count(call) : 0;
}

/* The same of calls that make or remove a name, which overlayfs passes on to a layer. */
#define COUNT_NAME(call, name, function)                                      \
	SEC("fentry/" #function)                                              \
	int BPF_PROG(fentry_##name, struct inode *dir, struct dentry *dentry) \
	{                                                                     \
		return count_name(call, dentry);                              \
	}                                                                     \
	SEC("kprobe/" #function)                                              \
	int BPF_KPROBE(kprobe_##name, struct inode *dir, struct dentry *dentry) \
	{                                                                     \
		return count_name(call, dentry);                              \
	}

COUNT_NAME(VFS_UNLINK, unlink, security_inode_unlink)
COUNT_NAME(VFS_MKDIR, mkdir, security_inode_mkdir)
COUNT_NAME(VFS_RMDIR, rmdir, security_inode_rmdir)

SEC("fentry/vfs_create")
int BPF_PROG(fentry_create, void *first, struct dentry *second, struct dentry *third)
{
	return count_name(VFS_CREATE, vfs_create_name(second, third));
}

SEC("kprobe/vfs_create")
int BPF_KPROBE(kprobe_create, void *first, struct dentry *second, struct dentry *third)
{
	return count_name(VFS_CREATE, vfs_create_name(second, third));
}

/* fsync(2) and fdatasync(2) have no VFS function below them that is not inlined on some kernel:
 * vfs_fsync_range() fires for half of them on 5.10 and 6.1, for none on 7.2. */
COUNT(VFS_FSYNC, fsync, do_fsync)
COUNT_IN(VFS_FSYNC, xfsync, SYSCALL "fsync")
COUNT_IN(VFS_FSYNC, xfdsync, SYSCALL "fdatasync")

SEC("tracepoint/syscalls/sys_enter_fsync")
int enter_fsync(void *ctx)
{
	return count(VFS_FSYNC);
}

SEC("tracepoint/syscalls/sys_enter_fdatasync")
int enter_fdatasync(void *ctx)
{
	return count(VFS_FSYNC);
}

/* security_inode_create() would also see each O_CREAT of an old file whose name is not cached. Each
 * open on overlayfs opens the real file too, which nobody asked for. */
static __always_inline int count_open(__u32 mode)
{
	if (mode & FMODE_NOACCOUNT || !counters_wanted())
		return 0;
	counters_add(VFS_OPEN, 1);
	if (mode & FMODE_CREATED)
		counters_add(VFS_CREATE, 1);
	return 0;
}

/* Below vfs_open(), and below what opens without it: O_TMPFILE, file systems with an atomic_open()
 * of their own. */
SEC("fentry/do_dentry_open")
int BPF_PROG(fentry_open, struct file *file)
{
	return count_open(file->f_mode);
}

SEC("kprobe/do_dentry_open")
int BPF_KPROBE(kprobe_open, struct file *file)
{
	return count_open(BPF_CORE_READ(file, f_mode));
}
