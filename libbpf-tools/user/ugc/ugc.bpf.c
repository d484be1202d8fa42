// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bpf/filter.bpf.h"
#include "../runtime.bpf.h"
#include "ugc.h"

const volatile struct ugc_config cfg = {};

/* hotspot/share/services/memoryManager.cpp: manager, its length, pool, its length, bytes at the start,
 * used, committed, at most. */
#define POOL_NAME 2
#define POOL_USED 5
#define POOL_MAX  7

/* Collections of one thread nest: a pool's within a pause. */
struct gc_key {
	__u32 tid, kind;
	__u64 pool; /* where its name is */
};

/* When the thread was created tells it from a later one of the same number. */
struct gc_start {
	__u64 time_ns, thread_ns, value;
};

/* LRU: a process may be killed in a collection. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct gc_key);
	__type(value, struct gc_start);
} gc_starts SEC(".maps");

static __always_inline __u64 thread_start_ns(void)
{
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), start_time);
}

static __always_inline __u64 number(struct pt_regs *ctx, __u8 argument)
{
	__u64 value = 0;

	if (argument != RUNTIME_NO_ARGUMENT)
		usdt_arg(ctx, argument, &value);
	return value;
}

static __always_inline int begin(enum gc_kind kind, __u64 pool, __u64 value)
{
	struct gc_key key = { .tid = bpf_get_current_pid_tgid(), .kind = kind, .pool = pool };
	struct gc_start start = { .thread_ns = thread_start_ns(), .value = value };

	start.time_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&gc_starts, &key, &start, BPF_ANY))
		count_lost_map();
	return 0;
}

/* Whether there is such a collection, and it is to be shown. */
static __always_inline bool end(struct gc_event *e, enum gc_kind kind, __u64 pool)
{
	struct gc_key key = { .tid = bpf_get_current_pid_tgid(), .kind = kind, .pool = pool };
	__u64 now = bpf_ktime_get_ns();
	struct gc_start *start = bpf_map_lookup_elem(&gc_starts, &key), begun;

	if (!start)
		return false; /* it began before this program was attached */
	begun = *start;
	bpf_map_delete_elem(&gc_starts, &key);
	if (begun.thread_ns != thread_start_ns() || !filter_current())
		return false;
	e->kind = kind;
	e->value = begun.value;
	e->lat_ns = time_between(begun.time_ns, now);
	e->cpu = bpf_get_smp_processor_id();
	task_info_read(&e->task, false);
	return asked_for(e->lat_ns >= cfg.min_ns);
}

static __always_inline int end_plain(struct pt_regs *ctx, enum gc_kind kind, __u8 argument)
{
	struct gc_event e = {};

	if (!end(&e, kind, 0))
		return 0;
	e.end_value = number(ctx, argument);
	event_output(ctx, &e, sizeof(e));
	return 0;
}

SEC("uprobe")
int gc_begin(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	/* Heap::PerformGarbageCollection(collector, ...): the object is the first. */
	if (cfg.kind == GC_V8)
		return begin(cfg.kind, 0, (__u32)PT_REGS_PARM2(ctx));
	return begin(cfg.kind, 0, number(ctx, cfg.begin_value));
}

SEC("uprobe")
int gc_end(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return end_plain(ctx, cfg.kind, cfg.end_value);
}

/* Of a function. */
SEC("uretprobe")
int gc_return(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return end_plain(ctx, cfg.kind, RUNTIME_NO_ARGUMENT);
}

SEC("uprobe")
int sweep_begin(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return begin(GC_SWEEP, 0, 0);
}

SEC("uprobe")
int sweep_end(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return end_plain(ctx, GC_SWEEP, RUNTIME_NO_ARGUMENT);
}

SEC("uprobe")
int pool_begin(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	return begin(GC_POOL, number(ctx, POOL_NAME), number(ctx, POOL_USED));
}

SEC("uprobe")
int pool_end(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct gc_pool_event e = {};

	if (!end(&e.gc, GC_POOL, number(ctx, POOL_NAME)))
		return 0;
	e.used_before = e.gc.value;
	e.used = number(ctx, POOL_USED);
	e.max = number(ctx, POOL_MAX);
	runtime_read_name(ctx, &e.name);
	event_output(ctx, &e, sizeof(e));
	return 0;
}
