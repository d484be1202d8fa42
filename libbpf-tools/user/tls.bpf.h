/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs at the functions of OpenSSL, GnuTLS and NSS that read, write or shake hands. A tool that
 * includes this defines tls_done(), which is called when one returns. A function that only jumps to
 * another has no program (tls.cpp says which): each call is seen once. 5.10+. */
#pragma once
#include "bpf/call_place.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "tls.h"

/* `result` is what the function says, and with _ex forms that succeed the number of bytes. */
static __always_inline int tls_done(void *ctx, const struct tls_call *call, __s64 result);

HASH_MAP(tls_threads, __u32, struct tls_thread, 16384);

static const struct tls_thread tls_no_calls = {};

/* Set before programs are detached: a call that begins then might return unseen. */
bool tls_is_ending = false;

static __always_inline __u32 tls_operation_of(__u32 function)
{
	switch (function) {
	case TLS_SSL_READ:
	case TLS_SSL_READ_EX:
	case TLS_GNUTLS_RECV:
	case TLS_PR_READ:
	case TLS_PR_RECV:
		return TLS_READ;
	case TLS_SSL_DO_HANDSHAKE:
	case TLS_GNUTLS_HANDSHAKE:
	case TLS_FORCE_HANDSHAKE:
		return TLS_HANDSHAKE;
	default:
		return TLS_WRITE;
	}
}

static __noinline int tls_begin(struct pt_regs *ctx, __u32 function, __u64 buffer, __u64 done)
{
	__u32 tid = bpf_get_current_pid_tgid(), place = call_place(ctx), n, used;
	struct tls_thread *thread;
	struct tls_call *call;

	if (tls_is_ending || !filter_current())
		return 0;
	thread = find_or_insert(&tls_threads, &tid, &tls_no_calls);
	if (!thread)
		return 0;
	used = n = thread->used;
	/* What begins at or above the place of an older call shows that that one is over: longjmp(), or
	 * its return was not seen. */
	for (int i = 0; i < TLS_DEPTH; i++) {
		if (!n || place - thread->calls[(n - 1) & (TLS_DEPTH - 1)].place >= CALL_STACK_BYTES)
			break;
		n--;
	}
	if (used != n)
		__sync_fetch_and_add(&account()->lost_return, used - n);
	if (n >= TLS_DEPTH) {
		__sync_fetch_and_add(&account()->lost_nested, 1);
		return 0;
	}
	call = &thread->calls[n & (TLS_DEPTH - 1)];
	call->session = PT_REGS_PARM1(ctx);
	call->buffer = buffer;
	call->done = done;
	call->place = place;
	call->function = function;
	call->start_ns = bpf_ktime_get_ns();
	thread->used = n + 1;
	return 0;
}

/* Takes the call that returns; false: its begin was not seen, or is not traced. */
static __always_inline bool tls_take(struct pt_regs *ctx, struct tls_call *call)
{
	__u32 tid = bpf_get_current_pid_tgid(), place = call_return_place(ctx), n;
	struct tls_thread *thread = bpf_map_lookup_elem(&tls_threads, &tid);

	if (!thread)
		return false;
	n = thread->used;
	for (int i = 0; i < TLS_DEPTH; i++) {
		if (!n)
			return false;
		*call = thread->calls[(n - 1) & (TLS_DEPTH - 1)];
		n--;
		if (call->place == place)
			break;
	}
	if (call->place != place)
		return false;
	if (thread->used != n + 1)
		__sync_fetch_and_add(&account()->lost_return, thread->used - n - 1);
	thread->used = n;
	return true;
}

static __noinline int tls_end(struct pt_regs *ctx)
{
	struct tls_call call;
	__s64 result;

	if (!tls_take(ctx, &call))
		return 0;
	result = PT_REGS_RC(ctx);
	if (call.function != TLS_GNUTLS_RECV && call.function != TLS_GNUTLS_SEND)
		result = (__s32)result; /* only theirs is a ssize_t */
	if (result == 1 &&
	    (call.function == TLS_SSL_READ_EX || call.function == TLS_SSL_WRITE_EX))
		bpf_probe_read_user(&result, sizeof(result), (void *)call.done);
	return tls_done(ctx, &call, result);
}

/* A member of an object of the program. */
static __always_inline __u64 tls_word(__u64 object, __u32 offset)
{
	__u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)(object + offset));
	return word;
}

static __always_inline __u32 tls_int(__u64 object, __u32 offset)
{
	__u32 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)(object + offset));
	return value;
}

/* struct PRFileDesc, prio.h: methods, secret, lower. NSPR's functions also read and write files and
 * clear sockets. What has a layer below it is TLS. */
#define NSPR_SECRET 8
#define NSPR_LOWER 16

static __always_inline int tls_begin_nspr(struct pt_regs *ctx, __u32 function)
{
	if (!tls_word(PT_REGS_PARM1(ctx), NSPR_LOWER))
		return 0;
	return tls_begin(ctx, function, PT_REGS_PARM2(ctx), (__u32)PT_REGS_PARM3(ctx));
}

SEC("uprobe")
int o_read(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_SSL_READ, PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int o_read_ex(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_SSL_READ_EX, PT_REGS_PARM2(ctx), PT_REGS_PARM4(ctx));
}

SEC("uprobe")
int o_write(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_SSL_WRITE, PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int o_write_ex(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_SSL_WRITE_EX, PT_REGS_PARM2(ctx), PT_REGS_PARM4(ctx));
}

/* OpenSSL 3.3 and later: with flags before the last argument. */
SEC("uprobe")
int o_write_ex2(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_SSL_WRITE_EX, PT_REGS_PARM2(ctx), PT_REGS_PARM5(ctx));
}

SEC("uretprobe")
int o_return(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_end(ctx);
}

SEC("uprobe")
int o_handshake(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_SSL_DO_HANDSHAKE, 0, 0);
}

SEC("uretprobe")
int o_hands_return(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_end(ctx);
}

SEC("uprobe")
int g_recv(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_GNUTLS_RECV, PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int g_send(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_GNUTLS_SEND, PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int g_send2(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_GNUTLS_SEND, PT_REGS_PARM2(ctx), 0);
}

SEC("uretprobe")
int g_return(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_end(ctx);
}

SEC("uprobe")
int g_handshake(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_GNUTLS_HANDSHAKE, 0, 0);
}

SEC("uretprobe")
int g_hands_return(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_end(ctx);
}

SEC("uprobe")
int n_read(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin_nspr(ctx, TLS_PR_READ);
}

SEC("uprobe")
int n_recv(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin_nspr(ctx, TLS_PR_RECV);
}

SEC("uprobe")
int n_write(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin_nspr(ctx, TLS_PR_WRITE);
}

SEC("uprobe")
int n_send(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin_nspr(ctx, TLS_PR_SEND);
}

SEC("uprobe")
int n_writev(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin_nspr(ctx, TLS_PR_WRITEV);
}

SEC("uretprobe")
int n_return(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_end(ctx);
}

SEC("uprobe")
int n_handshake(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_begin(ctx, TLS_FORCE_HANDSHAKE, 0, 0);
}

SEC("uretprobe")
int n_hands_return(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return tls_end(ctx);
}

/* A thread that ends within a call never returns from it. */
SEC("raw_tp/sched_process_free")
int tls_thread_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tid = BPF_CORE_READ(task, pid);

	bpf_map_delete_elem(&tls_threads, &tid);
	return 0;
}
