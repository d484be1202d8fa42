// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/hist.bpf.h"
#include "../filesystem.bpf.h"
#include "bpf/task_event.bpf.h"
#include "fsdist.h"

const volatile struct fsdist_config cfg = {};
HISTS(struct fsdist_key, 2 * FS_OPS * HIST_ROWS)

/* Not inlined: the same for each of its programs. */
static __noinline int holds(__u32 op, long ret, __u64 ns)
{
	struct fsdist_event e = { .ret = ret, .op = op };

	task_event_current(&e.task, ns);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline int finish(__u32 op, long ret)
{
	struct fsdist_key key = { .op = op };
	__u64 ns;

	if (call_leave(op, &ns) && fs_done(ret) && (!cb_where_on || holds(op, ret, ns)))
		hists_count(&key, ns, cfg.unit_ns);
	return 0;
}

/* Where it did not open the file, its start is forgotten: the open that counts is still to come. */
static __always_inline int finish_atomic(struct file *file, int ret)
{
	__u64 ns;

	if (fs_opened(file, ret))
		return finish(FS_OPEN, 0);
	call_leave(FS_OPEN, &ns);
	return 0;
}

SEC("fexit/%read")
int BPF_PROG(read_fexit, struct kiocb *iocb, struct iov_iter *to, long ret)
{
	return finish(FS_READ, ret);
}

SEC("fexit/%write")
int BPF_PROG(write_fexit, struct kiocb *iocb, struct iov_iter *from, long ret)
{
	return finish(FS_WRITE, ret);
}

SEC("fexit/%open")
int open_fexit(void *ctx) { return finish(FS_OPEN, 0); }
SEC("fexit/%open4")
int open4_fexit(void *ctx) { return finish(FS_OPEN, 0); }
SEC("fexit/%atomic")
int BPF_PROG(atomic_fexit, struct inode *dir, struct dentry *dentry, struct file *file,
	     unsigned int flags, umode_t mode, int ret)
{
	return finish_atomic(file, ret);
}

SEC("fexit/%fsync")
int fsync_fexit(void *ctx) { return finish(FS_FSYNC, 0); }
SEC("fexit/%getattr")
int getattr_fexit(void *ctx) { return finish(FS_GETATTR, 0); }
SEC("fexit/%commit")
int commit_fexit(void *ctx) { return finish(FS_COMMIT, 0); }

#define KPROBES(name, op)                                                            \
	SEC("kprobe/%" #name) int name##_kprobe(void *ctx) { return fs_enter(op, true); } \
	SEC("kretprobe/%" #name) int BPF_KRETPROBE(name##_kretp, long ret)           \
	{                                                                            \
		return finish(op, (op) == FS_READ || (op) == FS_WRITE ? ret : 0);    \
	}

KPROBES(read, FS_READ)
KPROBES(write, FS_WRITE)
KPROBES(open, FS_OPEN)
KPROBES(open4, FS_OPEN)
KPROBES(fsync, FS_FSYNC)
KPROBES(getattr, FS_GETATTR)
KPROBES(commit, FS_COMMIT)

SEC("kprobe/%atomic")
int BPF_KPROBE(atomic_kprobe, void *dir, void *dentry, void *file)
{
	if (filter_current()) {
		call_enter(FS_OPEN, true);
		call_keep_object(FS_OPEN, file, 0);
	}
	return 0;
}

SEC("kretprobe/%atomic")
int BPF_KRETPROBE(atomic_kretp, int ret)
{
	return finish_atomic((void *)call_kept_object(FS_OPEN).object, ret);
}
