/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Opens that io_uring does without do_sys_openat2(): io_openat2() on every kernel from 5.10. It is
 * entered with the kernel's copy of the name, which is gone at return, so it is kept in between. */
#pragma once
#include "abi/path.h"
#include "abi/uring.h"
#include "bpf/core.bpf.h"
#include "bpf/io_kiocb.bpf.h"

struct uring_open {
	struct io_kiocb *req;
	__u32 issue_flags;
	int dfd;
	__u32 flags, mode;
	__u32 path_len; /* with its NUL; 0: not to be read */
	char path[PATH_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, __u32);
	__type(value, struct uring_open);
} uring_opens SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct uring_open);
} uring_scratch SEC(".maps");

/* 7.2's io_open.filename is a struct around the pointer. */
struct io_open___pre_v7 {
	struct filename *filename;
} __attribute__((preserve_access_index));

struct delayed_filename___v7 {
	struct filename *__incomplete_filename;
} __attribute__((preserve_access_index));

struct io_open___v7 {
	struct delayed_filename___v7 filename;
} __attribute__((preserve_access_index));

static __always_inline __u32 uring_open_flags(struct io_kiocb *req)
{
	/* The command is the first member of every io_kiocb. */
	return BPF_CORE_READ((struct io_open *)req, how.flags);
}

static __always_inline void uring_open_begin(struct io_kiocb *req, __u32 issue_flags)
{
	__u32 zero = 0, tid = bpf_get_current_pid_tgid();
	struct uring_open *o = bpf_map_lookup_elem(&uring_scratch, &zero);
	struct io_open *open = (void *)req;
	struct io_open___pre_v7 *old = (void *)req;
	struct io_open___v7 *now = (void *)req;
	struct filename *name;
	long n;

	if (!o)
		return;
	if (bpf_core_field_exists(old->filename))
		name = BPF_CORE_READ(old, filename);
	else
		name = BPF_CORE_READ(now, filename.__incomplete_filename);
	o->req = req;
	o->issue_flags = issue_flags;
	o->flags = uring_open_flags(req);
	o->mode = BPF_CORE_READ(open, how.mode);
	o->dfd = BPF_CORE_READ(open, dfd);
	n = bpf_probe_read_kernel_str(o->path, PATH_LEN, BPF_CORE_READ(name, name));
	o->path_len = n < 0 ? 0 : n;
	call_keep(&uring_opens, &tid, o);
}

/* The open that io_openat2() of this task returns `ret` from, and in *result the descriptor or
 * negative errno: URING_RESULT_UNKNOWN before 5.19 if a worker thread did it, where the result is
 * posted to user space and the request freed. NULL: none, or it would have blocked and comes again
 * from a worker thread. The caller ends with uring_open_end(). */
static __always_inline struct uring_open *uring_open_result(int ret, int *result)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct uring_open *o = bpf_map_lookup_elem(&uring_opens, &tid);
	struct io_kiocb___pre_v5_19 *old;
	struct io_kiocb *req;

	if (!o || ret == -EAGAIN)
		return NULL;
	req = o->req;
	old = (void *)req;
	if (!bpf_core_field_exists(old->result))
		*result = BPF_CORE_READ(req, cqe.res);
	else if (o->issue_flags & IO_URING_F_COMPLETE_DEFER___pre_v5_19)
		*result = BPF_CORE_READ(old, result);
	else
		*result = URING_RESULT_UNKNOWN;
	return o;
}

static __always_inline void uring_open_end(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&uring_opens, &tid);
}
