/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The calls that a thread has under way, so that each end finds its own call: with recursion, and where
 * an exception or a die() ended calls without an end that a probe sees. */
#pragma once
#include "perl.bpf.h"
#include "tcl.bpf.h"

/* Threads end without a word: the oldest entries go. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct runtime_thread);
} cb_followed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct runtime_frame_key);
	__type(value, struct runtime_frame);
} cb_frames SEC(".maps");

/* More calls than this are not ended at once: the rest at the next call. */
#define FRAMES_AT_ONCE 32


/* Of the running thread; it begins with none. */
static __always_inline struct runtime_thread *followed_thread(__u32 tid)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct runtime_thread begun = {
		.began = BPF_CORE_READ(task, start_time) + BPF_CORE_READ(task, self_exec_id)
	};
	struct runtime_thread *thread = bpf_map_lookup_elem(&cb_followed, &tid);

	if (!thread) {
		if (bpf_map_update_elem(&cb_followed, &tid, &begun, BPF_ANY)) {
			count_lost_map();
			return NULL;
		}
		thread = bpf_map_lookup_elem(&cb_followed, &tid);
	} else if (thread->began != begun.began) {
		*thread = begun;
	}
	return thread;
}

/* A call begins. Returns how many are under way below it. */
static __always_inline __u32 push_frame(const struct runtime_frame *call)
{
	__u32 tid = bpf_get_current_pid_tgid(), depth;
	struct runtime_thread *thread = followed_thread(tid);
	struct runtime_frame_key key = { .tid = tid };
	struct runtime_frame *above;

	if (!thread)
		return 0;
	depth = thread->depth;
	/* Of perl: calls whose contexts are gone. */
	for (int i = 0; call->base && i < FRAMES_AT_ONCE && depth; i++) {
		key.depth = depth - 1;
		above = bpf_map_lookup_elem(&cb_frames, &key);
		if (!above || above->base != call->base || above->mark < call->mark)
			break;
		depth--;
	}
	key.depth = depth;
	thread->depth = depth + 1;
	if (bpf_map_update_elem(&cb_frames, &key, call, BPF_ANY))
		count_lost_map();
	return depth;
}

/* Of a call that has no end. */
static __always_inline __u32 frame_depth(void)
{
	struct runtime_thread *thread = followed_thread(bpf_get_current_pid_tgid());

	return thread ? thread->depth : 0;
}

/* A call ends: of the method `id`, or of perl where its context is. False: it began before we did. Else
 * `depth` is as when it began; what it called and has not ended, ends with it. */
static __always_inline bool pop_frame(__u64 id, __u64 base, __s64 mark, struct runtime_frame *call,
				      __u32 *depth)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct runtime_thread *thread = followed_thread(tid);
	struct runtime_frame_key key = { .tid = tid };
	struct runtime_frame *frame;

	if (!thread)
		return false;
	*depth = thread->depth;
	for (__u32 i = 0; i < FRAMES_AT_ONCE && i < thread->depth; i++) {
		key.depth = thread->depth - 1 - i;
		frame = bpf_map_lookup_elem(&cb_frames, &key);
		if (!frame) {
			/* There was no room for it. */
			count_lost_map();
			thread->depth = key.depth;
			return false;
		}
		if (base ? frame->base == base && frame->mark == mark : frame->id == id) {
			*call = *frame;
			*depth = key.depth;
			thread->depth = key.depth;
			return true;
		}
	}
	return false;
}

/* So that names can be compared as a number: FNV-1a by words. */
static __always_inline __u64 name_id(const struct runtime_name *name)
{
	const __u64 *words = (const __u64 *)name;
	__u64 id = 0xcbf29ce484222325;

	asm volatile("" : "+r"(words)); /* clang else keeps a second copy of the name */
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < sizeof(*name) / sizeof(*words); i++)
		id = (id ^ words[i]) * 0x100000001b3;
	return id;
}

/* What a probe at a call says: its name, and the call as push_frame() takes it. False: of a kind whose
 * end no probe sees. */
static __always_inline bool read_call(struct pt_regs *ctx, struct runtime_name *name,
				      struct runtime_frame *call)
{
	__u64 cv;

	switch (cb_names.form) {
	case RUNTIME_PERL:
		cv = perl_code(PT_REGS_PARM1(ctx));
		perl_read_name(cv, name);
		call->id = cv;
		if (!perl_context(PT_REGS_PARM1(ctx), &call->base, &call->mark))
			call->base = 0;
		return cv && !perl_is_xsub(cv);
	case RUNTIME_TCL:
		tcl_read_name(PT_REGS_PARM2(ctx), name);
		return false;
	}
	runtime_read_name(ctx, name);
	call->id = name_id(name);
	return true;
}

/* A probe at the end of a call: the same, and how long it took. False: its beginning was not seen; `name`
 * then is that of runtimes that say it. */
static __always_inline bool read_end(struct pt_regs *ctx, struct runtime_name *name,
				     struct runtime_frame *call, __u32 *depth)
{
	__u64 id = 0, base = 0;
	__s64 mark = 0;
	bool found;

	if (cb_names.form == RUNTIME_PERL) {
		if (!perl_context(PT_REGS_PARM1(ctx), &base, &mark))
			return false;
		/* Its own context is the last one. */
		found = pop_frame(0, base, mark - 1, call, depth);
		if (found)
			perl_read_name(call->id, name);
		return found;
	}
	runtime_read_name(ctx, name);
	id = name_id(name);
	return pop_frame(id, 0, 0, call, depth);
}
