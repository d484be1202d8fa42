// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../filesystem.bpf.h"
#include "../slow_file.bpf.h"

static __always_inline bool slow_enough(__u64 ns)
{
	return asked_for(!cfg.min_ns || ns > cfg.min_ns);
}

/* Whether the operation is to be reported; its time in *ns. */
static __always_inline bool slow(__u32 op, __u64 *ns)
{
	return call_leave(op, ns) && slow_enough(*ns);
}

/* The position has moved on by what was transferred; before the call it would not be known where an
 * O_APPEND write goes. */
static __always_inline int finish_io(void *ctx, __u32 op, struct kiocb *iocb, long ret)
{
	__u64 ns;

	if (!slow(op, &ns) || !fs_done(ret))
		return 0;
	return slow_report_file(ctx, op, ns, ret,
				BPF_CORE_READ(iocb, ki_pos) - (ret > 0 ? ret : 0),
				BPF_CORE_READ(iocb, ki_filp));
}

static __always_inline int finish_file(void *ctx, __u32 op, struct file *file, __s64 offset,
				       int ret)
{
	__u64 ns;

	return slow(op, &ns) ? slow_report_file(ctx, op, ns, ret, offset, file) : 0;
}

/* The file has a dentry once it is open; it may be another than that of the lookup. */
static __always_inline int finish_atomic(void *ctx, struct dentry *dentry, struct file *file,
					 int ret)
{
	__u64 ns;

	if (!call_leave(FS_OPEN, &ns) || !fs_opened(file, ret) || !slow_enough(ns))
		return 0;
	return slow_report(ctx, FS_OPEN, ns, ret, -1,
			   ret ? dentry : BPF_CORE_READ(file, f_path.dentry),
			   BPF_CORE_READ(file, f_path.mnt));
}

static __always_inline int finish_getattr(void *ctx, const struct path *path, int ret)
{
	__u64 ns;

	if (!slow(FS_GETATTR, &ns))
		return 0;
	return slow_report(ctx, FS_GETATTR, ns, ret, -1, BPF_CORE_READ(path, dentry),
			   BPF_CORE_READ(path, mnt));
}

/* Measured: 6.12 has a union around it, 7.2 not. */
struct dentry___pre_v7 {
	union { struct hlist_node d_alias; } d_u;
} __attribute__((preserve_access_index));

/* A name of the inode: commits are not about an open file. */
static __always_inline int finish_commit(void *ctx, struct inode *inode, int ret)
{
	struct hlist_node *alias;
	struct dentry *dentry;
	__u64 ns;

	if (!slow(FS_COMMIT, &ns))
		return 0;
	alias = BPF_CORE_READ(inode, i_dentry.first);
	if (bpf_core_field_exists(((struct dentry___pre_v7 *)0)->d_u))
		dentry = (void *)alias - bpf_core_field_offset(struct dentry___pre_v7, d_u.d_alias);
	else
		dentry = (void *)alias - bpf_core_field_offset(struct dentry, d_alias);
	return slow_report(ctx, FS_COMMIT, ns, ret, -1, alias ? dentry : NULL, NULL);
}

SEC("fexit/%read")
int BPF_PROG(read_fexit, struct kiocb *iocb, struct iov_iter *to, long ret)
{
	return finish_io(ctx, FS_READ, iocb, ret);
}

SEC("fexit/%write")
int BPF_PROG(write_fexit, struct kiocb *iocb, struct iov_iter *from, long ret)
{
	return finish_io(ctx, FS_WRITE, iocb, ret);
}

SEC("fexit/%open")
int BPF_PROG(open_fexit, struct inode *inode, struct file *file, int ret)
{
	return finish_file(ctx, FS_OPEN, file, -1, ret);
}

SEC("fexit/%open4")
int BPF_PROG(open4_fexit, struct inode *inode, struct file *file, int ret)
{
	return finish_file(ctx, FS_OPEN, file, -1, ret);
}

SEC("fexit/%atomic")
int BPF_PROG(atomic_fexit, struct inode *dir, struct dentry *dentry, struct file *file,
	     unsigned int flags, umode_t mode, int ret)
{
	return finish_atomic(ctx, dentry, file, ret);
}

SEC("fexit/%fsync")
int BPF_PROG(fsync_fexit, struct file *file, loff_t start, loff_t end, int datasync, int ret)
{
	return finish_file(ctx, FS_FSYNC, file, start, ret);
}

SEC("fexit/%getattr")
int getattr_fexit(__u64 *ctx)
{
	if (FS_GETATTR_HAS_IDMAP)
		return finish_getattr(ctx, (void *)ctx[1], ctx[5]);
	return finish_getattr(ctx, (void *)ctx[0], ctx[4]);
}

SEC("fexit/%commit")
int BPF_PROG(commit_fexit, struct inode *inode, int how, struct writeback_control *wbc, int ret)
{
	return finish_commit(ctx, inode, ret);
}

static __always_inline int enter_object(__u32 op, const void *object, __s64 offset)
{
	if (filter_current()) {
		call_enter(op, true);
		call_keep_object(op, object, offset);
	}
	return 0;
}

#define OBJECT(op) ((void *)call_kept_object(op).object)

SEC("kprobe/%read")
int BPF_KPROBE(read_kprobe, void *iocb) { return enter_object(FS_READ, iocb, 0); }
SEC("kretprobe/%read")
int BPF_KRETPROBE(read_kretp, long ret) { return finish_io(ctx, FS_READ, OBJECT(FS_READ), ret); }
SEC("kprobe/%write")
int BPF_KPROBE(write_kprobe, void *iocb) { return enter_object(FS_WRITE, iocb, 0); }
SEC("kretprobe/%write")
int BPF_KRETPROBE(write_kretp, long ret) { return finish_io(ctx, FS_WRITE, OBJECT(FS_WRITE), ret); }
SEC("kprobe/%open")
int BPF_KPROBE(open_kprobe, void *inode, void *file) { return enter_object(FS_OPEN, file, 0); }
SEC("kretprobe/%open")
int BPF_KRETPROBE(open_kretp, int ret) { return finish_file(ctx, FS_OPEN, OBJECT(FS_OPEN), -1, ret); }
SEC("kprobe/%open4")
int BPF_KPROBE(open4_kprobe, void *inode, void *file) { return enter_object(FS_OPEN, file, 0); }
SEC("kretprobe/%open4")
int BPF_KRETPROBE(open4_kretp, int ret) { return finish_file(ctx, FS_OPEN, OBJECT(FS_OPEN), -1, ret); }
/* Two objects to keep, and no offset. */
SEC("kprobe/%atomic")
int BPF_KPROBE(atomic_kprobe, void *dir, void *dentry, void *file)
{
	return enter_object(FS_OPEN, file, (__s64)dentry);
}
SEC("kretprobe/%atomic")
int BPF_KRETPROBE(atomic_kretp, int ret)
{
	struct call_object kept = call_kept_object(FS_OPEN);

	return finish_atomic(ctx, (void *)kept.offset, (void *)kept.object, ret);
}
SEC("kprobe/%fsync")
int BPF_KPROBE(fsync_kprobe, void *file, __s64 start) { return enter_object(FS_FSYNC, file, start); }
SEC("kretprobe/%fsync")
int BPF_KRETPROBE(fsync_kretp, int ret)
{
	struct call_object kept = call_kept_object(FS_FSYNC);

	return finish_file(ctx, FS_FSYNC, (void *)kept.object, kept.offset, ret);
}
SEC("kprobe/%getattr")
int BPF_KPROBE(getattr_kprobe, void *first, void *second)
{
	return enter_object(FS_GETATTR, FS_GETATTR_HAS_IDMAP ? second : first, 0);
}
SEC("kretprobe/%getattr")
int BPF_KRETPROBE(getattr_kretp, int ret) { return finish_getattr(ctx, OBJECT(FS_GETATTR), ret); }
SEC("kprobe/%commit")
int BPF_KPROBE(commit_kprobe, void *inode) { return enter_object(FS_COMMIT, inode, 0); }
SEC("kretprobe/%commit")
int BPF_KRETPROBE(commit_kretp, int ret) { return finish_commit(ctx, OBJECT(FS_COMMIT), ret); }
