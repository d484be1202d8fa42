/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Opens of files by whatever way: open(2), creat(2), openat(2), openat2(2), io_uring; of 32-bit programs
 * too where the function behind all of them is seen (fexit, kprobe). 5.10+.
 *
 * A tool that includes this defines open_wanted() and opened(). */
#pragma once
#include "bpf/session.bpf.h"
#include "bpf/syscall.bpf.h"
#include "bpf/uring.bpf.h"

struct open_args {
	const char *path;
	int dfd;
	__u32 flags, mode;
};

/* What programs that may interrupt each other are of. */
enum open_way {
	OPEN_CALL, /* a system call */
	OPEN_URING,
	OPEN_WAYS,
};

/* `typed`: the program may read the running task (bpf/task.bpf.h). */
static __always_inline bool open_wanted(__u32 flags, bool typed);
/* `copied`: bytes of the path that the kernel has copied; 0: it is in the caller's memory. */
static __always_inline int opened(void *ctx, enum open_way way, const struct open_args *args,
				  int ret, __u32 copied, bool typed);

SYSCALL_ARGS(struct open_args)

/* One function behind open, openat, openat2 and creat. It returns int since 7.2, long before. */
SEC("fexit/do_sys_openat2")
int BPF_PROG(open_fexit, int dfd, const char *path, struct open_how *how, int ret)
{
	struct open_args args = { path, dfd, how->flags, how->mode };

	return open_wanted(args.flags, true) ? opened(ctx, OPEN_CALL, &args, ret, 0, true) : 0;
}

/* The lower rungs see the arguments at entry and the result at return. */
static int open_enter(const char *path, int dfd, __u32 flags, __u32 mode)
{
	struct open_args args = { path, dfd, flags, mode };

	if (open_wanted(flags, false))
		args_keep(&args);
	return 0;
}

static __always_inline int open_leave(void *ctx, int ret)
{
	struct open_args args;

	return args_take(&args) ? opened(ctx, OPEN_CALL, &args, ret, 0, false) : 0;
}

SEC("tracepoint/syscalls/sys_enter_open")
int enter_open(struct syscall_enter *c) { return open_enter((void *)c->args[0], AT_FDCWD, c->args[1], c->args[2]); }
SEC("tracepoint/syscalls/sys_enter_creat")
int enter_creat(struct syscall_enter *c) { return open_enter((void *)c->args[0], AT_FDCWD, O_CREAT_FLAGS, c->args[1]); }
SEC("tracepoint/syscalls/sys_enter_openat")
int enter_openat(struct syscall_enter *c) { return open_enter((void *)c->args[1], c->args[0], c->args[2], c->args[3]); }
SEC("tracepoint/syscalls/sys_enter_openat2")
int enter_openat2(struct syscall_enter *c)
{
	struct open_how how = {};

	bpf_probe_read_user(&how, sizeof(how), (void *)c->args[2]);
	return open_enter((void *)c->args[1], c->args[0], how.flags, how.mode);
}

SEC("tracepoint/syscalls/sys_exit_open")
int leave_open(struct syscall_exit *c) { return open_leave(c, c->ret); }
SEC("tracepoint/syscalls/sys_exit_creat")
int leave_creat(struct syscall_exit *c) { return open_leave(c, c->ret); }
SEC("tracepoint/syscalls/sys_exit_openat")
int leave_openat(struct syscall_exit *c) { return open_leave(c, c->ret); }
SEC("tracepoint/syscalls/sys_exit_openat2")
int leave_openat2(struct syscall_exit *c) { return open_leave(c, c->ret); }

SEC("kprobe/do_sys_openat2")
int BPF_KPROBE(open_kprobe, int dfd, const char *path, struct open_how *how)
{
	return open_enter(path, dfd, BPF_CORE_READ(how, flags), BPF_CORE_READ(how, mode));
}
SEC("kretprobe/do_sys_openat2")
int BPF_KRETPROBE(open_kretprobe, int ret) { return open_leave(ctx, ret); }

static __always_inline bool uring_enter(struct io_kiocb *req, __u32 issue_flags)
{
	bool want = open_wanted(uring_open_flags(req), false);

	if (want)
		uring_open_begin(req, issue_flags);
	return want;
}

static __always_inline int uring_leave(void *ctx, int ret, bool typed)
{
	struct uring_open *o = uring_open_result(ret, &ret);

	if (o)
		opened(ctx, OPEN_URING,
		       &(struct open_args){ o->path, o->dfd, o->flags, o->mode }, ret, o->path_len,
		       typed);
	uring_open_end();
	return 0;
}

SEC("kprobe.session/io_openat2")
int uring_session(struct pt_regs *ctx)
{
	if (session_is_return(ctx))
		return uring_leave(ctx, PT_REGS_RC(ctx), true);
	return !uring_enter((void *)PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx));
}

SEC("fentry/io_openat2")
int BPF_PROG(uring_fentry, struct io_kiocb *req, unsigned int flags)
{
	uring_enter(req, flags);
	return 0;
}
SEC("fexit/io_openat2")
int BPF_PROG(uring_fexit, struct io_kiocb *req, unsigned int flags, int ret) { return uring_leave(ctx, ret, true); }
SEC("kprobe/io_openat2")
int BPF_KPROBE(uring_kprobe, struct io_kiocb *req, unsigned int flags)
{
	uring_enter(req, flags);
	return 0;
}
SEC("kretprobe/io_openat2")
int BPF_KRETPROBE(uring_kretprobe, int ret) { return uring_leave(ctx, ret, false); }
