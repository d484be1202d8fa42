// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bpf/top.bpf.h"
#include "../runtime.bpf.h"
#include "uobjnew.h"

TOP(struct uobjnew_key, struct uobjnew_sums, 10240)

static __always_inline bool is_counted(void)
{
	return filter_current() && current_holds(0);
}

static __always_inline int add(struct uobjnew_key *key, bool is_sized, __u64 bytes)
{
	bool made;
	struct uobjnew_sums *sums = top_entry(key, &made);

	if (!sums)
		return 0;
	__sync_fetch_and_add(&sums->count, 1);
	if (is_sized) {
		__sync_fetch_and_add(&sums->sized, 1);
		__sync_fetch_and_add(&sums->bytes, bytes);
	}
	return 0;
}

static __always_inline int add_kind(enum uobjnew_kind kind, __u64 size, bool is_sized, __u64 bytes)
{
	struct uobjnew_key key = { .kind = kind, .size = size };

	return add(&key, is_sized, bytes);
}

/* JDK 17's interpreter and compiled code call dtrace_object_alloc(oop, int size) without a size: it is
 * what a register happened to have. From 21 the function asks the object, and the argument is a size_t. */
static __always_inline bool read_size(struct pt_regs *ctx, __u64 *bytes)
{
	__u32 number = uprobe_function(ctx), n = cb_names.value;
	struct usdt_site *site = bpf_map_lookup_elem(&cb_usdt_sites, &number);

	*bytes = 0;
	return site && n < USDT_ARGUMENTS && site->arguments[n].size == 8 &&
	       usdt_arg(ctx, n, bytes);
}

SEC("uprobe")
int object(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct uobjnew_key key = { .kind = OBJECT_CLASS };
	bool is_sized;
	__u64 bytes;

	if (!is_counted())
		return 0;
	runtime_read_name(ctx, &key.name);
	is_sized = read_size(ctx, &bytes);
	return add(&key, is_sized, bytes);
}

/* Of ruby: the first argument is the length, of a string in bytes. */
SEC("uprobe")
int string(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	bool is_sized;
	__u64 bytes;

	if (!is_counted())
		return 0;
	is_sized = usdt_arg(ctx, 0, &bytes);
	return add_kind(OBJECT_STRING, 0, is_sized, bytes);
}

SEC("uprobe")
int array(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return is_counted() ? add_kind(OBJECT_ARRAY, 0, false, 0) : 0;
}

SEC("uprobe")
int hash(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return is_counted() ? add_kind(OBJECT_HASH, 0, false, 0) : 0;
}

static __always_inline int add_block(__u64 size)
{
	return is_counted() ? add_kind(OBJECT_BLOCK, size, true, size) : 0;
}

SEC("uprobe")
int BPF_KPROBE(malloc_enter, __u64 size)
{
	use_task_stack(ctx);
	return add_block(size);
}

SEC("uprobe")
int BPF_KPROBE(new_enter, __u64 size)
{
	use_task_stack(ctx);
	return add_block(size);
}
