// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/top.bpf.h"
#include "slabratetop.h"

const volatile struct slabratetop_config cfg = {};
TOP(struct slab_key, struct slab_value, 16384)

static __always_inline void read_name(char *name, struct kmem_cache *cache)
{
	bpf_probe_read_kernel_str(name, SLAB_NAME_LEN, BPF_CORE_READ(cache, name));
}

static __noinline bool holds(struct kmem_cache *cache, __u64 bytes)
{
	struct slab_event e = { .bytes = bytes };

	task_event_current(&e.task, 0);
	if (cache)
		read_name(e.name, cache);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline int count(struct kmem_cache *cache, __u64 bytes, __u64 caller)
{
	struct slab_key key = { .cache = (__u64)cache };
	struct slab_value *value;
	bool made;

	if (cb_where_on && !holds(cache, bytes))
		return 0;
	if (!cache)
		key.kmalloc = bytes;
	if (cfg.callers)
		key.caller = caller;
	value = top_entry(&key, &made);
	if (!value)
		return 0;
	__sync_fetch_and_add(&value->allocs, 1);
	__sync_fetch_and_add(&value->bytes, bytes);
	if (made && cache)
		read_name(value->name, cache);
	return 0;
}

/* No tp_btf: verifiers before 7.x refuse to load its argument `const void *ptr`, which tells whether
 * the allocation failed. */
static __always_inline int count_kmalloc(__u64 *ctx)
{
	/* The caller, the block, the size that was asked for, that of the block: on all kernels. */
	if (!ctx[1] || !filter_current())
		return 0;
	return count(NULL, ctx[3], ctx[0]);
}

SEC("raw_tp/kmalloc")
int kmalloc_raw(__u64 *ctx) { return count_kmalloc(ctx); }
/* Before 6.1. */
SEC("raw_tp/kmalloc_node")
int knode_raw(__u64 *ctx) { return count_kmalloc(ctx); }

/* 11e9734bcb6a (v6.1) gave the tracepoint the cache. */
SEC("raw_tp/kmem_cache_alloc")
int BPF_PROG(cache_raw, __u64 caller, void *object, struct kmem_cache *cache)
{
	if (!object || !filter_current())
		return 0;
	return count(cache, BPF_CORE_READ(cache, size), caller);
}

/* Before, the functions that had it. The caller stands on the stack. */
static __always_inline int count_call(struct pt_regs *ctx)
{
	struct kmem_cache *cache = (struct kmem_cache *)PT_REGS_PARM1(ctx);
	__u64 caller = 0;

	if (!filter_current())
		return 0;
	if (cfg.callers) {
#if defined(__TARGET_ARCH_arm64)
		caller = PT_REGS_RET(ctx);
#else
		bpf_probe_read_kernel(&caller, sizeof(caller), (void *)PT_REGS_SP(ctx));
#endif
	}
	return count(cache, BPF_CORE_READ(cache, size), caller);
}

SEC("kprobe/kmem_cache_alloc")
int call_kprobe(struct pt_regs *ctx) { return count_call(ctx); }
SEC("kprobe/kmem_cache_alloc_node")
int callnode_kprobe(struct pt_regs *ctx) { return count_call(ctx); }

static __always_inline int count_entry(struct kmem_cache *cache)
{
	return filter_current() ? count(cache, cache->size, 0) : 0;
}

SEC("fentry/kmem_cache_alloc")
int BPF_PROG(call_fentry, struct kmem_cache *cache) { return count_entry(cache); }
SEC("fentry/kmem_cache_alloc_node")
int BPF_PROG(callnode_fentry, struct kmem_cache *cache) { return count_entry(cache); }
