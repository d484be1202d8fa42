// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/hist.bpf.h"
#include "../filesystem.bpf.h"
#include "fsdist.h"

const volatile struct fsdist_config cfg = {};
HISTS(struct fsdist_key, 2 * FS_OPS)

static __always_inline int finish(__u32 op, long ret)
{
	struct fsdist_key key = { .op = op };
	__u64 ns;

	if (call_leave(op, &ns) && fs_done(ret))
		hists_count(&key, ns, cfg.unit_ns);
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
