// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
/* A terminal is watched, and kernel threads and others outside a container write to it too. */
#define FILTER_ALL_NAMESPACES
#include "bpf/filter.bpf.h"
#include "bpf/syscall.bpf.h"
#include "ttysnoop.h"

struct write_args {
	const char *text;
};

const volatile struct ttysnoop_config cfg = {};

/* Where the loop is lies in map memory, so that the verifier finds all its rounds alike. */
struct scratch {
	struct tty_event event;
	volatile __u32 at;
};
EVENT_SCRATCH(struct scratch, 1)
SYSCALL_ARGS(struct write_args)

/* The terminal itself is compared, not the file it is written through: that may be /dev/tty,
 * /dev/console or another container's node. */
static __always_inline bool is_watched(struct tty_struct *tty)
{
	struct tty_driver *driver = BPF_CORE_READ(tty, driver);
	__u32 minor = BPF_CORE_READ(driver, minor_start) + BPF_CORE_READ(tty, index);

	if (((__u32)BPF_CORE_READ(driver, major) << 20 | minor) != cfg.rdev)
		return false;
	if (cfg.pty) {
		/* pty_unix98_install() and ptmx_open(), drivers/tty/pty.c */
		struct dentry *dentry = BPF_CORE_READ(tty, driver_data);
		struct inode *inode = BPF_CORE_READ(dentry, d_inode);

		return BPF_CORE_READ(inode, i_ino) == cfg.inode &&
		       BPF_CORE_READ(inode, i_sb, s_dev) == cfg.dev;
	}
	return true;
}

static __always_inline int report(void *ctx, const char *text, long written)
{
	struct scratch *s = event_scratch(0);

	if (!s || written <= 0)
		return 0;
	task_info_current(&s->event.task);
	s->at = 0;
	for (__u32 i = 0; i < TTY_WRITE_RECORDS; i++) {
		__u32 at = s->at, n = written - at;

		if (at >= written || (cfg.records && i >= cfg.records))
			break;
		if (n > cfg.record_size)
			n = cfg.record_size;
		if (n > TTY_RECORD_LEN)
			break;
		s->event.len = bpf_probe_read_kernel(s->event.data, n, text + at) ? 0 : n;
		event_output(ctx, &s->event, offsetof(struct tty_event, data) + n);
		s->at = at + n;
	}
	return 0;
}

/* Below whatever writes to a terminal, with a piece of the text in kernel memory. What it returns
 * has been accepted; the caller comes again with the rest. */
SEC("fexit/n_tty_write")
int BPF_PROG(write_fexit, struct tty_struct *tty, struct file *file, const char *text, size_t n,
	     long written)
{
	return is_watched(tty) && filter_current() ? report(ctx, text, written) : 0;
}

SEC("kprobe/n_tty_write")
int BPF_KPROBE(write_kprobe, struct tty_struct *tty, struct file *file, const char *text)
{
	struct write_args args = { text };

	if (is_watched(tty) && filter_current())
		args_keep(&args);
	return 0;
}
SEC("kretprobe/n_tty_write")
int BPF_KRETPROBE(write_kretprobe, long written)
{
	struct write_args args;

	return args_take(&args) ? report(ctx, args.text, written) : 0;
}
