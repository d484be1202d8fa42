// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/call_place.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/stacks.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "memleak.h"

const volatile struct memleak_config leak_cfg = {};

HASH_MAP(leaks, struct leak_key, struct leak, LEAK_ALLOCATIONS);
HASH_MAP(leak_processes, struct leak_process, struct leak_process_name, LEAK_PROCESSES);

struct leak_counts leak_counts[ACCOUNT_CPUS] __attribute__((aligned(64)));

static __always_inline struct leak_counts *counts(void)
{
	return &leak_counts[bpf_get_smp_processor_id() & (ACCOUNT_CPUS - 1)];
}

/* What a thread allocates. Stays as long as nobody needs its place: to make one for each call costs
 * more than all the rest. */
struct leak_call {
	__u64 sp;      /* at the entry of the outermost function under way; 0: there is none */
	__u64 done_sp; /* of the last one that has returned */
	__u64 size;
	__u64 result;  /* posix_memalign(): where it puts the address */
	__u64 old;     /* realloc(), mremap(): what is given back, if that goes well */
	struct leak old_leak; /* size 0: not known */
	__u32 function;
	__u32 image;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LEAK_THREADS);
	__type(key, __u32);
	__type(value, struct leak_call);
} leak_calls SEC(".maps");

/* By address: so what becomes of an allocation is known where the allocation is, and an address that
 * is not asked for costs nothing more. Of addresses one behind the other each is as likely. */
static __always_inline bool is_sampled(__u64 address)
{
	return leak_cfg.sample <= 1 ||
	       (__u32)(address * 0x9e3779b97f4a7c15ull >> 32) % leak_cfg.sample == 0;
}

static __always_inline bool is_wanted(__u64 address, __u64 size)
{
	return asked_for(size >= leak_cfg.min_size && size <= leak_cfg.max_size &&
			 is_sampled(address));
}

static __always_inline void add_leak(const struct leak_key *key, const struct leak *leak)
{
	if (!bpf_map_update_elem(&leaks, key, leak, BPF_NOEXIST))
		return;
	/* It was freed in a way that has no probe, or the map is full. */
	if (!bpf_map_update_elem(&leaks, key, leak, BPF_EXIST))
		__sync_fetch_and_add(&counts()->missed, 1);
	else
		count_lost_map();
}

static __always_inline struct leak_key own_key(__u64 address)
{
	struct leak_key key = { .address = address, .pid = current_ids() >> 32 };

	return key;
}

static __always_inline __u32 running_image(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (HAS_HELPER(get_current_task_btf))
		return STACK_IMAGE(bpf_get_current_task_btf()->mm->start_stack);
	return STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
}

/* A program was not seen before in this thread. */
static __noinline void note_process(__u32 pid, __u32 image)
{
	struct leak_process process = { .pid = pid, .image = image };
	struct leak_process_name name = {};

	bpf_get_current_comm(name.comm, sizeof(name.comm));
	bpf_map_update_elem(&leak_processes, &process, &name, BPF_ANY);
	tell_task(pid, image);
}

/* The outermost function is the one that counts: calloc() and operator new may call malloc(). NULL: it is
 * not the outermost, or not asked for. */
static __always_inline struct leak_call *enter(struct pt_regs *ctx, enum leak_function function,
					       __u64 size)
{
	static const struct leak_call none = {};
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 sp = PT_REGS_SP(ctx);
	struct leak_call *call;

	if (!filter_current())
		return NULL;
	call = bpf_map_lookup_elem(&leak_calls, &tid);
	if (!call) {
		call = find_or_insert(&leak_calls, &tid, &none);
		if (!call)
			return NULL;
	}
	if (call->sp && sp <= call->sp && is_under_way(call->sp)) {
		/* A signal's handler interrupted malloc(), and calls it. */
		if (sp < call->sp && function == call->function && function != LEAK_NEW)
			__sync_fetch_and_add(&account()->lost_nested, 1);
		return NULL;
	}
	call->sp = sp;
	call->size = size;
	call->function = function;
	return call;
}

SEC("uprobe")
int BPF_KPROBE(malloc_enter, __u64 size)
{
	use_task_stack(ctx);
	enter(ctx, LEAK_MALLOC, size);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(new_enter, __u64 size)
{
	use_task_stack(ctx);
	enter(ctx, LEAK_NEW, size);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(calloc_enter, __u64 n, __u64 size)
{
	use_task_stack(ctx);
	enter(ctx, LEAK_CALLOC, n * size); /* one that overflows fails */
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(aligned_enter, __u64 alignment, __u64 size)
{
	use_task_stack(ctx);
	enter(ctx, LEAK_ALIGNED, size);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(posix_enter, __u64 result, __u64 alignment, __u64 size)
{
	use_task_stack(ctx);
	struct leak_call *call = enter(ctx, LEAK_POSIX_MEMALIGN, size);

	if (call)
		call->result = result;
	return 0;
}

/* Before the address can be somebody else's it is taken out of what is known; put back, if the
 * function fails. */
static __always_inline void take_old(struct leak_call *call, __u64 address)
{
	struct leak_key key = own_key(address);
	struct leak *leak;

	call->old = address;
	call->old_leak.size = 0;
	call->old_leak.function = 0;
	if (leak_cfg.sums || !address || !is_sampled(address))
		return;
	leak = bpf_map_lookup_elem(&leaks, &key);
	if (!leak)
		return;
	call->old_leak = *leak;
	bpf_map_delete_elem(&leaks, &key);
}

SEC("uprobe")
int BPF_KPROBE(realloc_enter, __u64 address, __u64 size)
{
	use_task_stack(ctx);
	struct leak_call *call = enter(ctx, LEAK_REALLOC, size);

	if (call)
		take_old(call, address);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(rearray_enter, __u64 address, __u64 n, __u64 size)
{
	use_task_stack(ctx);
	struct leak_call *call = enter(ctx, LEAK_REALLOCARRAY, n * size);

	if (call)
		take_old(call, address);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(mmap_enter, __u64 address, __u64 size)
{
	use_task_stack(ctx);
	enter(ctx, LEAK_MMAP, size);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(mremap_enter, __u64 address, __u64 old_size, __u64 size)
{
	use_task_stack(ctx);
	struct leak_call *call = enter(ctx, LEAK_MREMAP, size);

	if (call)
		take_old(call, old_size ? address : 0); /* without a size it stays mapped */
	return 0;
}

static __always_inline bool has_old(__u32 function)
{
	return function == LEAK_REALLOC || function == LEAK_REALLOCARRAY || function == LEAK_MREMAP;
}

/* realloc() has freed its old address, or has not. */
static __always_inline void settle_old(struct leak_call *call, bool freed)
{
	struct leak_key key = own_key(call->old);

	if (leak_cfg.sums || !call->old || !is_sampled(call->old))
		return;
	if (!call->old_leak.function) {
		if (freed && call->function != LEAK_MREMAP)
			__sync_fetch_and_add(&counts()->unknown, 1);
	} else if (freed) {
		__sync_fetch_and_add(&counts()->freed, 1);
	} else {
		add_leak(&key, &call->old_leak);
	}
}

/* The address that a function returned; 0: it failed. */
static __always_inline __u64 result_of(const struct leak_call *call, __u64 returned)
{
	__u64 address = 0;

	switch (call->function) {
	case LEAK_POSIX_MEMALIGN:
		if (!(__u32)returned)
			bpf_probe_read_user(&address, sizeof(address), (void *)call->result);
		return address;
	case LEAK_MMAP:
	case LEAK_MREMAP:
		return returned > -4096ull ? 0 : returned;
	default:
		return returned;
	}
}

static __always_inline void add_sum(struct leak_call *call, __u32 pid, __s32 stack)
{
	struct stack_key key = { .pid = pid,
				 .image = call->image,
				 .kernel = STACK_NONE,
				 .user = stack,
				 .detail = call->function };

	bpf_get_current_comm(key.comm, sizeof(key.comm));
	stack_add(&key, call->size);
}

/* After all functions that allocate. */
SEC("uretprobe")
int alloc_return(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	__u32 tid = bpf_get_current_pid_tgid(), image;
	struct leak_call *call = bpf_map_lookup_elem(&leak_calls, &tid);
	__u64 sp = PT_REGS_SP(ctx) - CALL_RETURNED_BYTES;
	struct leak leak = {};
	struct leak_key key;

	if (!call)
		return 0;
	if (call->sp != sp) {
		/* Within another, or together with one that jumped to it; else its entry was forgotten:
		 * another stack of this thread came between. */
		if (call->sp ? sp > call->sp : sp != call->done_sp)
			__sync_fetch_and_add(&account()->lost_return, 1);
		return 0;
	}
	call->sp = 0;
	call->done_sp = sp;
	key = own_key(result_of(call, PT_REGS_RC(ctx)));
	if (has_old(call->function))
		settle_old(call, key.address || !call->size);
	if (!asked_for(key.address != 0) || !is_wanted(key.address, call->size))
		return 0;
	image = running_image();
	if (image != call->image) {
		call->image = image;
		note_process(key.pid, image);
	}
	leak.stack = stack_id(ctx, BPF_F_USER_STACK);
	if (leak_cfg.sums) {
		add_sum(call, key.pid, leak.stack);
		return 0;
	}
	leak.size = call->size;
	leak.time_ns = bpf_ktime_get_ns();
	leak.image = image;
	leak.function = call->function;
	add_leak(&key, &leak);
	return 0;
}

/* realloc() may call free() with its old address, which was taken out already. */
static __always_inline bool is_within_call(struct pt_regs *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct leak_call *call = bpf_map_lookup_elem(&leak_calls, &tid);

	return call && PT_REGS_SP(ctx) <= call->sp && is_under_way(call->sp);
}

SEC("uprobe")
int BPF_KPROBE(free_enter, __u64 address)
{
	use_task_stack(ctx);
	struct leak_key key = own_key(address);
	__u64 ids = bpf_get_current_pid_tgid();
	struct leak_counts *c;

	if (!address || !is_sampled(address))
		return 0;
	c = counts();
	if (!bpf_map_delete_elem(&leaks, &key)) {
		c->last_free = address;
		c->last_ids = ids;
		__sync_fetch_and_add(&c->freed, 1);
	} else if (c->last_free == address && c->last_ids == ids) {
		c->last_free = 0; /* operator delete called free() */
	} else if (!is_within_call(ctx) && filter_current()) {
		__sync_fetch_and_add(&c->unknown, 1);
	}
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(munmap_enter, __u64 address, __u64 size)
{
	use_task_stack(ctx);
	struct leak_key key = own_key(address);
	struct leak *leak = bpf_map_lookup_elem(&leaks, &key), rest;
	__u64 pages = (size + leak_cfg.page_size - 1) & -(__u64)leak_cfg.page_size;

	if (!leak) {
		if (!is_within_call(ctx) && filter_current())
			__sync_fetch_and_add(&counts()->unmapped, 1);
		return 0;
	}
	rest = *leak;
	bpf_map_delete_elem(&leaks, &key);
	if (rest.size > pages) { /* the rest stays mapped */
		rest.size -= pages;
		key.address += pages;
		add_leak(&key, &rest);
		return 0;
	}
	__sync_fetch_and_add(&counts()->freed, 1);
	return 0;
}

/* The kernel's own allocators. Arguments of raw tracepoints: the same for all readers, of every kernel
 * from 5.10 to 7.2 but where it says so. */
static __always_inline void kernel_alloc(void *ctx, __u64 address, enum leak_space space, __u64 size,
					 enum leak_function function)
{
	struct leak_key key = { .address = address, .space = space };
	struct leak leak = { .size = size, .function = function };

	if (!address || !filter_current() || !is_wanted(address, size))
		return;
	leak.stack = stack_id(ctx, 0);
	if (leak_cfg.sums) {
		struct stack_key sum = { .kernel = leak.stack,
					 .user = STACK_NONE,
					 .detail = function };

		stack_add(&sum, size);
		return;
	}
	leak.time_ns = bpf_ktime_get_ns();
	add_leak(&key, &leak);
}

static __always_inline void kernel_free(__u64 address, enum leak_space space)
{
	struct leak_key key = { .address = address, .space = space };

	if (!address || !is_sampled(address))
		return;
	if (!bpf_map_delete_elem(&leaks, &key))
		__sync_fetch_and_add(&counts()->freed, 1);
	else if (filter_current())
		__sync_fetch_and_add(&counts()->unknown, 1);
}

SEC("raw_tp/kmalloc")
int kmalloc(struct bpf_raw_tracepoint_args *ctx)
{
	kernel_alloc(ctx, ctx->args[1], LEAK_OBJECTS, ctx->args[3], LEAK_KMALLOC);
	return 0;
}

SEC("raw_tp/kmalloc_node") /* until 6.0 */
int kmalloc_node(struct bpf_raw_tracepoint_args *ctx)
{
	kernel_alloc(ctx, ctx->args[1], LEAK_OBJECTS, ctx->args[3], LEAK_KMALLOC);
	return 0;
}

SEC("raw_tp/kmem_cache_alloc")
int cache_alloc(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 size = ctx->args[3];

	/* From 6.1 the third argument is the cache, in place of the sizes; the record has then a type of
	 * its own. */
	if (bpf_core_type_exists(struct trace_event_raw_kmem_cache_alloc))
		size = BPF_CORE_READ((struct kmem_cache *)ctx->args[2], size);
	kernel_alloc(ctx, ctx->args[1], LEAK_OBJECTS, size, LEAK_CACHE);
	return 0;
}

SEC("raw_tp/kmem_cache_alloc_node") /* until 6.0 */
int cache_node(struct bpf_raw_tracepoint_args *ctx)
{
	kernel_alloc(ctx, ctx->args[1], LEAK_OBJECTS, ctx->args[3], LEAK_CACHE);
	return 0;
}

SEC("raw_tp/kfree")
int kfree(struct bpf_raw_tracepoint_args *ctx)
{
	kernel_free(ctx->args[1], LEAK_OBJECTS);
	return 0;
}

SEC("raw_tp/kmem_cache_free")
int cache_free(struct bpf_raw_tracepoint_args *ctx)
{
	kernel_free(ctx->args[1], LEAK_OBJECTS);
	return 0;
}

SEC("raw_tp/mm_page_alloc")
int page_alloc(struct bpf_raw_tracepoint_args *ctx)
{
	kernel_alloc(ctx, ctx->args[0], LEAK_PAGE_STRUCTS,
		     (__u64)leak_cfg.page_size << (__u32)ctx->args[1], LEAK_PAGES);
	return 0;
}

SEC("raw_tp/mm_page_free")
int page_free(struct bpf_raw_tracepoint_args *ctx)
{
	kernel_free(ctx->args[0], LEAK_PAGE_STRUCTS);
	return 0;
}

SEC("raw_tp/percpu_alloc_percpu")
int percpu_alloc(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 size, address;

	/* From 6.1 the call site comes before all; bytes_alloc is as new. Barriers: or clang makes one
	 * load of two, from an address that the verifier refuses. */
	if (bpf_core_field_exists(((struct trace_event_raw_percpu_alloc_percpu *)0)->bytes_alloc)) {
		size = ctx->args[3];
		address = ctx->args[7];
		barrier_var(size);
		barrier_var(address);
	} else {
		size = ctx->args[2];
		address = ctx->args[6];
	}
	size *= leak_cfg.cpus;
	kernel_alloc(ctx, address, LEAK_PERCPU_OFFSETS, size, LEAK_PERCPU);
	return 0;
}

SEC("raw_tp/percpu_free_percpu")
int percpu_free(struct bpf_raw_tracepoint_args *ctx)
{
	kernel_free(ctx->args[2], LEAK_PERCPU_OFFSETS);
	return 0;
}
