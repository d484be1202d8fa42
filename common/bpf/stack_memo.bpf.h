/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel stack of the running task without unwinding it each time, for tools of frequent events
 * that tend to come from the same places. For tp_btf programs, and fentry. 5.10+.
 *
 * A return address tells how large its function's frame is, and so where the next one lies. If on a
 * stack every return address of a known stack lies where it lay there, unwinding would find just
 * them. Where they lie user space finds out, from a copy of the stack and from what the unwinder made
 * of it. (A function that aligns its frame breaks the rule. The addresses above it move, and a stack on
 * which user space sees that is left to the unwinder.) Counted from where we are: on top of a system call there is a gap of random size
 * (RANDOMIZE_KSTACK_OFFSET), above which only the entry's return address lies, next to the saved
 * registers. Unwinding costs 6000 instructions, this some 700. */
#pragma once
#include "abi/stack_memo.h"
#include "bpf/stacks.bpf.h"

struct stack_memo cb_stack_memos[STACK_MEMO_PLACES];

/* The last four places where a task's stacks were found, by a hash of the task. They need not be
 * right. */
#define STACK_HINTS 4096
__u64 cb_stack_hints[STACK_HINTS];

/* Of one CPU: what includes this runs with preemption off, and does not nest in itself. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stack_sample);
} cb_stack_sample SEC(".maps");

#define STACK_TASK(typed, task, field) ((typed) ? (task)->field : BPF_CORE_READ(task, field))

/* A return that somebody traces has another address in its place than the unwinder tells. */
#if defined(__TARGET_ARCH_x86)
static __always_inline bool returns_replaced(struct task_struct *task, bool typed)
{
	if (bpf_core_field_exists(task->rethooks) && STACK_TASK(typed, task, rethooks.first))
		return true;
	if (bpf_core_field_exists(task->kretprobe_instances) &&
	    STACK_TASK(typed, task, kretprobe_instances.first))
		return true;
	return bpf_core_field_exists(task->ret_stack) && STACK_TASK(typed, task, ret_stack) &&
	       STACK_TASK(typed, task, curr_ret_depth) >= 0;
}
#endif

/* Where the stack of `task`, the running one, begins (*begin), and its size up to user mode's registers;
 * 0: it is not one to remember. */
static __always_inline __u64 stack_extent(void *ctx, struct task_struct *task,
					  struct stack_sample *s, __u64 *begin, bool typed)
{
#if defined(__TARGET_ARCH_x86)
	__u64 base, size, below;

	if (!bpf_core_field_exists(task->stack_vm_area) || returns_replaced(task, typed))
		return 0;
	/* A raw tracepoint's arguments lie on the stack that it runs on: this is where we are. The
	 * verifier (of the task's stack 7.2's) lets programs store these addresses, not calculate
	 * with them. */
	*(void *volatile *)&s->top = STACK_TASK(typed, task, stack);
	base = *(volatile __u64 *)&s->top;
	*(void *volatile *)&s->top = ctx;
	*begin = *(volatile __u64 *)&s->top;
	below = *begin - base;
	size = typed ? task->stack_vm_area->nr_pages : BPF_CORE_READ(task, stack_vm_area, nr_pages);
	size = (size << 12) - sizeof(struct pt_regs);
	return below < size ? size - below : 0; /* else it is an interrupt's stack */
#else
	/* arm64: the random gap is inside a function's frame, no return address lies next to the
	 * registers, whose size differs between kernels, and addresses may be signed. */
	return 0;
#endif
}

static __always_inline bool is_memo(const struct stack_memo *memo, const struct stack_sample *s)
{
	if (!memo->ready || memo->extent > s->words || memo->top != s->top)
		return false;
	for (__u32 i = 0; i < STACK_MEMO_SLOTS && i < memo->slots; i++) {
		__u64 slot = memo->slot[i];

		if ((s->word[slot >> 48 & (STACK_MEMO_WORDS - 1)] ^ slot) << 16)
			return false;
	}
	return true;
}

static __always_inline struct stack_memo *memo_place(__u32 place)
{
	return &cb_stack_memos[place & (STACK_MEMO_PLACES - 1)];
}

/* Which of the stacks where this task was last the one at `begin` is; negative: none. */
static __always_inline __s32 stack_known(struct stack_sample *s, __u64 hints, __u64 begin,
					 __u64 size)
{
	__u64 extent = 0;

	for (int i = 0; i < 4; i++) {
		__u32 n = memo_place(hints >> i * 16)->extent;

		extent = n > extent ? n : extent;
	}
	extent *= sizeof(__u64);
	if (extent > size)
		extent = size;
	barrier_var(extent); /* the verifier wants to see the very number compared that is used */
	if (!extent || extent > sizeof(s->word))
		return -1;
	if (bpf_probe_read_kernel(s->word, extent, (void *)begin) ||
	    bpf_probe_read_kernel(&s->top, sizeof(s->top), (void *)(begin + size - sizeof(s->top))))
		return -1;
	s->words = extent / sizeof(__u64);
	for (int i = 0; i < 4; i++) {
		struct stack_memo *memo = memo_place(hints >> i * 16);

		if (is_memo(memo, s))
			return memo->id;
	}
	return -1;
}

/* A stack was unwound: remembers where to look for it, and has it learnt. */
static __noinline int stack_unwound(struct stack_sample *s, __s32 id, __u32 hint, __u64 begin,
				   __u64 size)
{
	__u32 place = id;
	struct stack_memo *memo;

	for (__u32 i = 0; i < STACK_MEMO_WAYS; i++) {
		place = id + i & (STACK_MEMO_PLACES - 1);
		memo = memo_place(place);
		if (!memo->samples)
			memo->asked = id;
		if (memo->asked == id)
			goto found;
	}
	return 0; /* the places are taken */
found:
	if (memo->ready) {
		__u64 *hints = &cb_stack_hints[hint & (STACK_HINTS - 1)];

		/* Not looked for there, it need not be different. */
		if ((__u16)*hints != place) {
			*hints = *hints << 16 | place;
			return 0;
		}
	}
	/* One at a time: what differs from what is learnt now is worth a further one. */
	if (memo->samples != memo->learnt || memo->samples >= STACK_MEMO_SAMPLES)
		return 0;
	size -= sizeof(s->top);
	barrier_var(size);
	if (size > sizeof(s->word) || bpf_probe_read_kernel(s->word, size, (void *)begin) ||
	    bpf_probe_read_kernel(&s->top, sizeof(s->top), (void *)(begin + size)))
		return 0;
	s->id = id;
	s->place = place;
	s->words = size / sizeof(__u64);
	size += offsetof(struct stack_sample, word);
	memo->samples++;
	if (size > sizeof(*s) ||
	    bpf_ringbuf_output(&cb_stack_tasks, s, size, BPF_RB_FORCE_WAKEUP))
		memo->samples--;
	return 0;
}

/* As stack_id(ctx, 0), of `task`, which is the running one. `typed`: a pointer whose members the
 * verifier lets be read. */
static __always_inline __s32 memo_stack_id(void *ctx, struct task_struct *task, bool typed)
{
	__u64 size = 0, begin = 0;
	__u32 zero = 0, hint = 0;
	struct stack_sample *s = bpf_map_lookup_elem(&cb_stack_sample, &zero);
	__s32 id;

	if (s)
		size = stack_extent(ctx, task, s, &begin, typed);
	if (s && size) {
		/* To the verifier it is a pointer, of which it allows to take the lower half only. */
		asm("r1 = %1; %0 = w1" : "=w"(hint) : "r"(task) : "r1");
		hint = hint >> 6 & (STACK_HINTS - 1);
		id = stack_known(s, cb_stack_hints[hint], begin, size);
		if (id >= 0)
			return id;
	}
	id = stack_id(ctx, 0);
	if (s && size && id >= 0)
		stack_unwound(s, id, hint, begin, size);
	return id;
}

/* The same; a task that is not `typed` is always unwound. */
static __always_inline __s32 kernel_stack_id(void *ctx, struct task_struct *task, bool typed)
{
	return typed ? memo_stack_id(ctx, task, true) : stack_id(ctx, 0);
}

/* The same, of the running task. Before 5.11 no program has a typed pointer to it. */
static __always_inline __s32 running_stack_id(void *ctx)
{
	if (HAS_HELPER(get_current_task_btf))
		return memo_stack_id(ctx, bpf_get_current_task_btf(), true);
	return memo_stack_id(ctx, (struct task_struct *)bpf_get_current_task(), false);
}
