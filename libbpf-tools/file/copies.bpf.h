/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copies inside the kernel, of sendfile(2), splice(2) and copy_file_range(2), by one attachment:
 * they are rare, so what counts is how fast it attaches. 6.10+.
 *
 * A tool that includes this defines copy_wanted() and copy_done(). */
#pragma once
#include "bpf/core.bpf.h"
#include "bpf/session.bpf.h"

/* A number of the session's functions, in their order. */
enum copy_call {
	COPY_SPLICE, /* do_splice_direct() */
	COPY_RANGE,  /* splice_file_range() */
	COPY_PIPE,   /* splice_file_to_pipe() */
};

struct copying {
	struct file *in, *out; /* `out` is NULL for a pipe */
	__u64 start_ns;
};

/* Under way, by thread and function; a hash map takes less memory than a place for each thread. */
HASH_MAP(copies, __u64, struct copying, 1024);

static __always_inline bool copy_wanted(struct file *in);
static __always_inline int copy_done(void *ctx, const struct copying *copy, enum copy_call call,
				     long ret);

SEC("kprobe.session/do_splice_direct,splice_file_range,splice_file_to_pipe")
int copies_session(struct pt_regs *ctx)
{
	__u64 function = bpf_get_attach_cookie(ctx);
	__u64 call = function << 32 | (__u32)bpf_get_current_pid_tgid();
	struct copying copy = {}, *kept;

	if (!session_is_return(ctx)) {
		copy.in = (void *)PT_REGS_PARM1(ctx);
		if (!copy_wanted(copy.in))
			return 1;
		if (function != COPY_PIPE)
			copy.out = (void *)PT_REGS_PARM3(ctx);
		copy.start_ns = bpf_ktime_get_ns();
		call_keep(&copies, &call, &copy);
		return 0;
	}
	kept = bpf_map_lookup_elem(&copies, &call);
	if (!kept)
		return 0;
	copy = *kept;
	bpf_map_delete_elem(&copies, &call);
	return copy_done(ctx, &copy, function, PT_REGS_RC(ctx));
}
