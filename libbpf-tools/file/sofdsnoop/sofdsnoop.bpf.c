// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/syscall.bpf.h"
#include "../file_name.bpf.h"
#include "sofdsnoop.h"

#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define SCM_MAX_FD 253
#define MAX_CMSGS 8       /* control messages beside the descriptors */
#define CMSG_HEADER 16    /* CMSG_ALIGN(sizeof(struct cmsghdr)); 32-bit callers' are converted */
#define FDS_SEARCHED 1024 /* for a socket's own number */
#define FDS_AT_ONCE 32
#define THREAD_SIZE_5_10 16384

/* Programs that may interrupt each other. */
enum { SLOT_STREAM, SLOT_DGRAM, SLOT_FAILED, SLOT_RECEIVE, SLOTS };
EVENT_SCRATCH(struct sofd_event, SLOTS)

/* A message with descriptors on its way through sendmsg. The files are compared, never followed:
 * once it is sent, nobody holds them for us. The rest is where the reading of the control messages
 * is; it lies in map memory so that the verifier finds all iterations alike. */
struct sending {
	__u32 count; /* the first: user space reads it */
	volatile __u32 at, left, data, index;
	struct msghdr *msg;
	struct socket *sock;
	struct file *files[SCM_MAX_FD];
};
HASH_MAP(sendings, __u32, struct sending, 256);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sending);
} new_sending SEC(".maps");

/* Messages on their way: while there are none, sends cost nothing more. */
__u32 sending_now = 0;

struct receiving {
	__u64 socket_inode;
	__s32 socket_fd;
	struct file *file; /* without fexit: of the call under way */
};
HASH_MAP(receivings, __u32, struct receiving, 4096);
HASH_MAP(uring_files, __u32, struct file *, 1024);

struct scm_args {
	struct socket *sock;
	struct msghdr *msg;
	struct scm_cookie *scm;
};
SYSCALL_ARGS(struct scm_args) /* without fexit */

/* Global functions are verified once, not for each row; nor for each turn of a loop, all of which the
 * verifier goes through. Of FDS_SEARCHED numbers it so sees two times the root. */
__noinline int fd_among(__u64 fds, __u32 first, __u32 size, __u64 wanted)
{
	for (__u32 i = 0; i < FDS_AT_ONCE; i++) {
		__u32 fd = first + i;
		__u64 file = 0;

		if (fd >= size)
			break;
		bpf_probe_read_kernel(&file, sizeof(file), (struct file **)fds + fd);
		if (file == wanted)
			return fd;
	}
	return -1;
}

__noinline int fd_of_file(__u64 wanted)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	__u64 fds = (__u64)BPF_CORE_READ(table, fd);
	__u32 size = BPF_CORE_READ(table, max_fds);

	for (__u32 first = 0; first < FDS_SEARCHED; first += FDS_AT_ONCE) {
		int fd = fd_among(fds, first, size, wanted);

		if (fd >= 0)
			return fd;
		if (first + FDS_AT_ONCE >= size)
			break;
	}
	return -1;
}

__noinline int event_name(__u32 slot, __u64 file)
{
	struct sofd_event *e = event_scratch(slot);

	return e ? file_name_fill(&e->name, (struct file *)file) : 0;
}

/* The first argument of the system call that the task is in. The callers check what it is, so that
 * a wrong place of the registers does no harm. */
static __always_inline int syscall_fd(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct pt_regs *regs;

	if (HAS_HELPER(task_pt_regs))
		regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	else
		regs = (void *)BPF_CORE_READ(task, stack) + THREAD_SIZE_5_10 -
		       bpf_core_type_size(struct pt_regs);
	if (!PT_REGS_IP_CORE(regs)) /* io_uring's workers have their maker's registers */
		return -1;
	return PT_REGS_PARM1_CORE_SYSCALL(regs);
}

/* The socket's own number: the system call's, else the lowest there is. */
static __always_inline int socket_fd(struct file *file)
{
	int fd = syscall_fd();

	return file && path_file(fd) == file ? fd : fd_of_file((__u64)file);
}

/* A message is as many events as it has descriptors. */
static __always_inline bool wanted(__u32 count)
{
	if (filter_current())
		return true;
	if (count > 1 && current_ids() >> 32 != cb_filter.self)
		__sync_fetch_and_add(&account()->filtered, count - 1);
	return false;
}

/* The size of the event that is ready but for the task and the file. */
static __always_inline __u64 fill(struct sofd_event *e, __u32 slot, struct file *file)
{
	task_info_current(&e->task);
	return offsetof(struct sofd_event, name) + (__u32)event_name(slot, (__u64)file);
}

static __always_inline struct sending *sending_of(__u32 slot)
{
	__u32 zero = 0, tid = bpf_get_current_pid_tgid();

	return slot == SLOT_FAILED ? bpf_map_lookup_elem(&new_sending, &zero) :
				     bpf_map_lookup_elem(&sendings, &tid);
}

/* Goes one step through the control messages: 0, -1 at the end. Numbers for arguments: a global
 * function. A perf buffer needs the program's context: for that it returns the size of an event. */
__noinline int next_sent(__u32 slot, __u64 control, __u32 end)
{
	struct sofd_event *e = event_scratch(slot);
	struct sending *s = sending_of(slot);
	struct file *file;
	__u32 index;
	__u64 size;
	int fd;

	if (!e || !s)
		return -1;
	if (!s->left) {
		struct cmsghdr header = {};
		__u32 at = s->at;

		if (at + sizeof(header) > end ||
		    bpf_probe_read_kernel(&header, sizeof(header), (void *)control + at) ||
		    header.cmsg_len < CMSG_HEADER)
			return -1;
		if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_RIGHTS) {
			s->left = (header.cmsg_len - CMSG_HEADER) / sizeof(fd);
			s->data = at + CMSG_HEADER;
		}
		s->at = at + ((header.cmsg_len + 7) & ~7ull);
		return 0;
	}
	if (bpf_probe_read_kernel(&fd, sizeof(fd), (void *)control + s->data))
		return -1;
	s->data += sizeof(fd);
	s->left--;
	index = s->index++;
	file = path_file(fd);
	if (s->count) {
		/* Meanwhile another thread may have given the number to another file. */
		if (index >= SCM_MAX_FD)
			return -1;
		if (s->files[index] != file)
			file = NULL;
	}
	e->fd = fd;
	size = fill(e, slot, file);
	barrier_var(size); /* compare this, not what it is computed from */
	if (event_needs_ctx() || size > sizeof(*e))
		return size;
	event_output(NULL, e, size);
	return 0;
}

/* A row for each descriptor in the message. */
static __always_inline void report_sent(void *ctx, struct sending *s, int ret, __u32 slot)
{
	struct sofd_event *e = event_scratch(slot);
	struct msghdr *msg = s->msg;
	struct socket *sock = s->sock;
	void *control = BPF_CORE_READ(msg, msg_control);
	__u32 end = BPF_CORE_READ(msg, msg_controllen);
	struct file *socket = BPF_CORE_READ(sock, file);

	if (!e)
		return;
	e->action = SOFD_SEND;
	e->ret = ret < 0 ? ret : 0;
	e->socket_inode = BPF_CORE_READ(socket, f_inode, i_ino);
	e->socket_fd = socket_fd(socket);
	for (int i = 0; i < SCM_MAX_FD + MAX_CMSGS; i++) {
		__u64 size = (__u32)next_sent(slot, (__u64)control, end);

		if (size > sizeof(*e)) /* the end */
			break;
		if (event_needs_ctx() && size)
			event_output(ctx, e, size);
	}
	/* More control messages than are gone through, or one that cannot be read. */
	if (s->count > s->index)
		__sync_fetch_and_add(&account()->lost_map, s->count - s->index);
}

/* A message that is still on its way when its thread sends another is one whose return was not seen.
 * Counted for kretprobes; where the kernel did not run an fexit program it has counted that itself. */
static __always_inline void drop_sending(__u32 tid, bool fexit)
{
	struct sending *s;

	if (!sending_now)
		return;
	s = bpf_map_lookup_elem(&sendings, &tid);
	if (!s)
		return;
	if (!fexit)
		__sync_fetch_and_add(&account()->lost_return, s->count);
	bpf_map_delete_elem(&sendings, &tid);
	__sync_fetch_and_add(&sending_now, -1);
}

/* The kernel has read the control messages: what goes is known, whether it arrives is not. */
static __always_inline int scm_sent(void *ctx, struct socket *sock, struct msghdr *msg,
				    struct scm_cookie *scm, int ret, bool fexit)
{
	struct scm_fp_list *fp = BPF_CORE_READ(scm, fp);
	__u32 zero = 0, tid = bpf_get_current_pid_tgid(), count = 0;
	struct sending *s;

	if (ret >= 0) {
		count = fp ? (__u16)BPF_CORE_READ(fp, count) : 0;
		if (!count || !wanted(count))
			return 0;
	} else if (!wanted(1)) {
		return 0;
	}
	s = bpf_map_lookup_elem(&new_sending, &zero);
	if (!s)
		return 0;
	s->msg = msg;
	s->sock = sock;
	s->at = s->left = s->data = s->index = 0;
	s->count = count;
	if (ret < 0) {
		report_sent(ctx, s, ret, SLOT_FAILED);
		return 0;
	}
	barrier_var(count); /* or a copy is compared, and 6.1 knows no bounds of the other */
	if (count > SCM_MAX_FD)
		return 0;
	bpf_probe_read_kernel(s->files, count * sizeof(s->files[0]),
			      (void *)fp + bpf_core_field_offset(fp->fp));
	drop_sending(tid, fexit);
	if (bpf_map_update_elem(&sendings, &tid, s, BPF_ANY))
		__sync_fetch_and_add(&account()->lost_map, count);
	else
		__sync_fetch_and_add(&sending_now, 1);
	return 0;
}

static __always_inline int message_sent(void *ctx, int ret, __u32 slot)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct sending *s;

	if (!sending_now)
		return 0;
	s = bpf_map_lookup_elem(&sendings, &tid);
	if (!s)
		return 0;
	report_sent(ctx, s, ret, slot);
	bpf_map_delete_elem(&sendings, &tid);
	__sync_fetch_and_add(&sending_now, -1);
	return 0;
}

SEC("fexit/__scm_send")
int BPF_PROG(scm_fexit, struct socket *sock, struct msghdr *msg, struct scm_cookie *scm, int ret)
{
	return scm_sent(ctx, sock, msg, scm, ret, true);
}
SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(stream_fexit, struct socket *sock, struct msghdr *msg, size_t len, int ret)
{
	return message_sent(ctx, ret, SLOT_STREAM);
}
/* Below unix_seqpacket_sendmsg() too. */
SEC("fexit/unix_dgram_sendmsg")
int BPF_PROG(dgram_fexit, struct socket *sock, struct msghdr *msg, size_t len, int ret)
{
	return message_sent(ctx, ret, SLOT_DGRAM);
}

/* How many descriptors the control messages carry. */
static __noinline __u32 files_in(struct msghdr *msg)
{
	void *control = BPF_CORE_READ(msg, msg_control);
	__u64 end = BPF_CORE_READ(msg, msg_controllen), at = 0;
	__u32 count = 0;

	for (int i = 0; i < MAX_CMSGS; i++) {
		struct cmsghdr header = {};

		if (at + sizeof(header) > end ||
		    bpf_probe_read_kernel(&header, sizeof(header), control + at) ||
		    header.cmsg_len < CMSG_HEADER || header.cmsg_len > end)
			return count;
		if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_RIGHTS)
			count += (header.cmsg_len - CMSG_HEADER) / sizeof(int);
		at += (header.cmsg_len + 7) & ~7ull;
	}
	return count ?: 1; /* there may be more than were looked through */
}

SEC("kprobe/__scm_send")
int BPF_KPROBE(scm_kprobe, struct socket *sock, struct msghdr *msg, struct scm_cookie *scm)
{
	struct scm_args args = { sock, msg, scm };

	__u32 count = files_in(msg);

	/* Only what is shown once it returns can be lost. */
	if (count && wanted(count))
		args_keep(&args);
	return 0;
}
SEC("kretprobe/__scm_send")
int BPF_KRETPROBE(scm_kretprobe, int ret)
{
	struct scm_args args;

	return args_take(&args) ? scm_sent(ctx, args.sock, args.msg, args.scm, ret, false) : 0;
}
/* So that no other message's return is taken for that of one whose own was missed. */
static __always_inline int message_begins(void)
{
	drop_sending(bpf_get_current_pid_tgid(), false);
	return 0;
}

SEC("kprobe/unix_stream_sendmsg")
int stream_kprobe(struct pt_regs *ctx) { return message_begins(); }
SEC("kprobe/unix_dgram_sendmsg")
int dgram_kprobe(struct pt_regs *ctx) { return message_begins(); }
SEC("kretprobe/unix_stream_sendmsg")
int BPF_KRETPROBE(stream_kret, int ret) { return message_sent(ctx, ret, SLOT_STREAM); }
SEC("kretprobe/unix_dgram_sendmsg")
int BPF_KRETPROBE(dgram_kret, int ret) { return message_sent(ctx, ret, SLOT_DGRAM); }

/* Without fexit: a descriptor whose making was seen to begin and not to end. */
static __always_inline void receive_missed(struct receiving *r)
{
	if (r->file)
		__sync_fetch_and_add(&account()->lost_return, 1);
}

static __always_inline int receive_end(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct receiving *r = bpf_map_lookup_elem(&receivings, &tid);

	if (!r)
		return 0;
	receive_missed(r);
	bpf_map_delete_elem(&receivings, &tid);
	return 0;
}

/* The receiver gets its descriptors one by one between these two. */
static __always_inline int receive_begin(struct scm_cookie *scm)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u32 count = (__u16)BPF_CORE_READ(scm, fp, count);
	struct receiving r = { .socket_fd = syscall_fd() };
	struct file *file, **uring = bpf_map_lookup_elem(&uring_files, &tid);

	if (!wanted(count))
		return 0;
	if (uring) {
		file = *uring;
		r.socket_fd = fd_of_file((__u64)file);
	} else {
		file = path_file(r.socket_fd);
		if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != MAGIC_SOCKET) {
			file = NULL;
			r.socket_fd = -1;
		}
	}
	r.socket_inode = BPF_CORE_READ(file, f_inode, i_ino);
	receive_end(); /* of a message whose end was missed */
	if (bpf_map_update_elem(&receivings, &tid, &r, BPF_ANY))
		__sync_fetch_and_add(&account()->lost_map, count);
	return 0;
}

static __always_inline int received(void *ctx, struct file *file, int fd)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct receiving *r = bpf_map_lookup_elem(&receivings, &tid);
	struct sofd_event *e = event_scratch(SLOT_RECEIVE);
	__u64 size;

	if (!r || !e)
		return 0;
	e->action = SOFD_RECV;
	e->socket_inode = r->socket_inode;
	e->socket_fd = r->socket_fd;
	e->fd = fd < 0 ? -1 : fd;
	e->ret = fd < 0 ? fd : 0;
	if (!file)
		file = r->file;
	r->file = NULL;
	size = fill(e, SLOT_RECEIVE, file);
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

SEC("fentry/scm_detach_fds")
int BPF_PROG(detach_fentry, struct msghdr *msg, struct scm_cookie *scm) { return receive_begin(scm); }
SEC("fexit/scm_detach_fds")
int BPF_PROG(detach_fexit) { return receive_end(); }
SEC("kprobe/scm_detach_fds")
int BPF_KPROBE(detach_kprobe, struct msghdr *msg, struct scm_cookie *scm) { return receive_begin(scm); }
SEC("kretprobe/scm_detach_fds")
int BPF_KRETPROBE(detach_kret) { return receive_end(); }

/* 42eb0d54c08a (v6.7): receive_fd(file, user's number, flags) is what scm_detach_fds() calls; before,
 * __receive_fd() with the same arguments, and before 5.11 with -1 before them. They are read as plain
 * words: a pointer with a type may not go to a global function. */
static __always_inline int received_fexit(void *ctx)
{
	__u64 args[5];

	if (bpf_probe_read_kernel(args, sizeof(args), ctx))
		return 0;
	return (int)args[0] == -1 ? received(ctx, (struct file *)args[1], args[4]) :
				    received(ctx, (struct file *)args[0], args[3]);
}

SEC("fexit/receive_fd")
int BPF_PROG(fd_fexit) { return received_fexit(ctx); }
SEC("fexit/__receive_fd")
int BPF_PROG(old_fd_fexit) { return received_fexit(ctx); }

static __always_inline int receive_enter(struct file *file)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct receiving *r = bpf_map_lookup_elem(&receivings, &tid);

	if (!r)
		return 0;
	receive_missed(r);
	r->file = file;
	return 0;
}

SEC("kprobe/receive_fd")
int BPF_KPROBE(fd_kprobe, struct file *file) { return receive_enter(file); }
SEC("kretprobe/receive_fd")
int BPF_KRETPROBE(fd_kretprobe, int ret) { return received(ctx, NULL, ret); }
SEC("kprobe/__receive_fd")
int BPF_KPROBE(old_fd_kprobe, long first, struct file *second)
{
	return receive_enter((int)first == -1 ? second : (struct file *)first);
}
SEC("kretprobe/__receive_fd")
int BPF_KRETPROBE(old_fd_kret, int ret) { return received(ctx, NULL, ret); }

/* io_uring receives without a system call that names the socket. */
static __always_inline int uring_enter(struct io_kiocb *req)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct file *file = BPF_CORE_READ(req, file);

	bpf_map_update_elem(&uring_files, &tid, &file, BPF_ANY);
	return 0;
}
static __always_inline int uring_leave(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&uring_files, &tid);
	return 0;
}

SEC("fentry/io_recvmsg")
int BPF_PROG(uring_fentry, struct io_kiocb *req) { return uring_enter(req); }
SEC("fexit/io_recvmsg")
int BPF_PROG(uring_fexit) { return uring_leave(); }
SEC("kprobe/io_recvmsg")
int BPF_KPROBE(uring_kprobe, struct io_kiocb *req) { return uring_enter(req); }
SEC("kretprobe/io_recvmsg")
int BPF_KRETPROBE(uring_kretprobe) { return uring_leave(); }
