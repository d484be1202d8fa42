// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/syscall.bpf.h"
#include "bpf/task_place.bpf.h"
#include "bpf/where.bpf.h"
#include "futexctn.h"

/* uapi/linux/futex.h */
#define FUTEX_WAIT 0
#define FUTEX_LOCK_PI 6
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_LOCK_PI2 13
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX2_PRIVATE 128

/* What the kernel's own functions return to the entry of the system call: linux/errno.h. */
#define EINTR 4
#define ETIMEDOUT 110
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTART_RESTARTBLOCK 516

const volatile struct futex_config cfg = { .max_ns = ~0ull, .unit_ns = 1000 };

/* Of tasks without a place. */
SYSCALL_ARGS(struct futex_args)

/* To make and delete an entry of a map for each wait would cost as much as all the rest. */
struct futex_place places[1 << PLACES_BITS];

/* One value for all CPUs, as sums by stack have (bpf/stacks.bpf.h). */
HASH_MAP(cb_stack_hists, struct futexctn_key, struct hist_part, FUTEX_KEYS);

/* Of the threads that have histograms, and of processes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FUTEX_KEYS);
	__type(key, struct futexctn_name);
	__type(value, struct futexctn_comm);
} cb_names SEC(".maps");

static __always_inline struct futex_place *place_of(__u64 task, __u32 *number)
{
	*number = place_of_task(task, PLACES_BITS);
	return &places[*number & ((1 << PLACES_BITS) - 1)];
}

static __always_inline void keep(const struct futex_args *args)
{
	__u64 task = bpf_get_current_task();
	struct futex_place *place;
	__u32 number;

	place = place_of(task, &number);
	if (place->owner != task && !take_place(&place->owner, number, task)) {
		args_keep(args);
		return;
	}
	if (place->args.start_ns) /* see call_keep() */
		__sync_fetch_and_add(&account()->lost_return, 1);
	place->args = *args;
}

/* As args_take(). */
static __always_inline bool take(struct futex_args *args)
{
	__u64 task = bpf_get_current_task();
	struct futex_place *place;
	__u32 number;

	place = place_of(task, &number);
	if (place->owner != task)
		return args_take(args);
	if (!place->args.start_ns)
		return false;
	*args = place->args;
	place->args.start_ns = 0;
	return true;
}

/* The task is gone, and its address soon another's. */
SEC("raw_tp/sched_process_free")
int task_free(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 task = ctx->args[0];
	struct futex_place *place;
	__u32 number;

	place = place_of(task, &number);
	if (place->owner != task)
		return 0;
	if (place->args.start_ns)
		__sync_fetch_and_add(&account()->lost_return, 1);
	place->args.start_ns = 0;
	place->owner = 0;
	return 0;
}

static __always_inline int begin(__u64 lock, __u32 op, bool shared)
{
	struct futex_args args = { .lock = lock, .op = op, .shared = shared };

	/* Which of several it is shows at the end. */
	if (cfg.lock && op != OP_WAITV && !asked_for(lock == cfg.lock))
		return 0;
	if (!filter_current())
		return 0;
	args.start_ns = bpf_ktime_get_ns();
	keep(&args);
	return 0;
}


static __noinline bool wait_holds(void *ctx, const struct futex_args *args, enum futex_end end,
				  __u64 ns)
{
	__u64 ids = current_ids();
	struct futex_event e = {
		.ns = ns,
		.lock = args->lock,
		.pid = ids >> 32,
		.tid = ids,
		.op = args->op,
		.end = end,
		.shared = args->shared,
	};

	bpf_get_current_comm(e.comm, sizeof(e.comm));
	return where_holds(ctx, &e, sizeof(e));
}

/* How a wait ended; negative: there was none, the futex had another value already, or the call was wrong. */
static __always_inline int how_it_ended(long ret)
{
	if (ret >= 0)
		return END_WOKEN;
	switch (ret) {
	case -ETIMEDOUT:
		return END_TIMEOUT;
	case -EINTR:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTART_RESTARTBLOCK:
		return END_SIGNAL;
	}
	return -1;
}

/* Names are no part of the key, which is hashed with each wait. */
static __noinline int note_name(const struct futexctn_key *key)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct futexctn_name name = { .pid = key->pid, .tid = key->tid };
	struct futexctn_comm comm;

	bpf_probe_read_kernel(comm.text, COMM_LEN,
			      key->tid ? task->comm : BPF_CORE_READ(task, group_leader, comm));
	bpf_map_update_elem(&cb_names, &name, &comm, BPF_ANY);
	return 0;
}

static __always_inline __u32 image_of_current(bool typed)
{
	struct task_struct *task;

	if (typed && HAS_HELPER(get_current_task_btf))
		return STACK_IMAGE(bpf_get_current_task_btf()->mm->start_stack);
	task = (struct task_struct *)bpf_get_current_task();
	return STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
}

static __always_inline int wait_over(void *ctx, struct futex_args *args, long ret, bool typed)
{
	__u64 ns = time_since(args->start_ns), ids;
	struct futexctn_key key = {};
	int end = how_it_ended(ret);
	struct hist_part *part;
	__u32 slot;
	bool made;

	if (end < 0)
		return 0;
	if (cfg.lock && args->op == OP_WAITV && !asked_for(args->lock == cfg.lock))
		return 0;
	if (!asked_for(ns >= cfg.min_ns && ns <= cfg.max_ns))
		return 0;
	if (cfg.woken && !asked_for(end == END_WOKEN))
		return 0;
	if (cb_where_on && !wait_holds(ctx, args, end, ns))
		return 0;
	ids = current_ids();
	key.pid = ids >> 32;
	key.lock = args->lock;
	key.op = args->op;
	key.shared = args->shared;
	key.user = STACK_NONE;
	if (!cfg.summary) {
		key.tid = ids;
		key.user = stack_id(ctx, BPF_F_USER_STACK);
		if (key.user >= 0)
			key.image = image_of_current(typed);
	}
	slot = log2_slot(ns, cfg.unit_ns);
	key.generation = hist_part_key(slot);
	part = find_or_make(&cb_stack_hists, &key, &hist_part_zero, &made);
	if (!part)
		return 0;
	if (made) {
		note_name(&key);
		if (key.user >= 0)
			tell_task(key.pid, key.image);
	}
	hist_part_add(part, slot, ns);
	if (stack_lost(key.user))
		count_lost_stack();
	return 0;
}

static __always_inline int end(void *ctx, long ret, bool typed)
{
	struct futex_args args;

	return take(&args) ? wait_over(ctx, &args, ret, typed) : 0;
}

/* kernel/futex/futex.h: 6.7 gave its flags other bits, when futexes got a function to wake with. */
static __always_inline bool has_new_flags(void)
{
	return bpf_core_field_exists(struct futex_q, wake);
}

static __always_inline bool is_shared(unsigned int flags)
{
	return flags & (has_new_flags() ? 0x10 : 1); /* FLAGS_SHARED */
}

/* Which of the futexes of a list woke the thread; else the first. */
static __always_inline int end_of_list(void *ctx, const struct futex_vector *list, long ret,
				       bool typed)
{
	struct futex_args args;
	__u32 flags;

	if (!take(&args))
		return 0;
	if (!list)
		list = (void *)args.lock;
	if (ret > 0) /* its elements have another size on each kernel */
		list = (void *)list + (ret & 127) * bpf_core_type_size(struct futex_vector);
	args.lock = BPF_CORE_READ(list, w.uaddr);
	flags = BPF_CORE_READ(list, w.flags);
	/* Before 6.7 they are those of the system call still. */
	args.shared = has_new_flags() ? is_shared(flags) : !(flags & FUTEX2_PRIVATE);
	return wait_over(ctx, &args, ret, typed);
}


/* The functions of kernel/futex, of which the linker sees each: callers are in other files. */
#define WAIT_PROGS(function, name, operation)                                                      \
	SEC("fentry/" #function)                                                                   \
	int BPF_PROG(name##_fentry, u32 *uaddr, unsigned int flags)                                \
	{                                                                                          \
		return begin((__u64)uaddr, operation, is_shared(flags));                           \
	}                                                                                          \
	SEC("kprobe/" #function)                                                                   \
	int BPF_KPROBE(name##_kprobe, u32 *uaddr, unsigned int flags)                              \
	{                                                                                          \
		return begin((__u64)uaddr, operation, is_shared(flags));                           \
	}                                                                                          \
	SEC("kretprobe/" #function)                                                                \
	int BPF_KRETPROBE(name##_kret, int ret)                                                    \
	{                                                                                          \
		return end(ctx, ret, false);                                                              \
	}

WAIT_PROGS(futex_wait, wait, OP_WAIT)
WAIT_PROGS(futex_wait_requeue_pi, requeue, OP_WAIT_REQUEUE_PI)

SEC("fexit/futex_wait")
int BPF_PROG(wait_fexit, u32 *uaddr, unsigned int flags, u32 val, void *time, u32 bitset, int ret)
{
	return end(ctx, ret, true);
}

SEC("fexit/futex_wait_requeue_pi")
int BPF_PROG(requeue_fexit, u32 *uaddr, unsigned int flags, u32 val, void *time, u32 bitset,
	     u32 *uaddr2, int ret)
{
	return end(ctx, ret, true);
}

/* A try that fails does not wait. */
SEC("fentry/futex_lock_pi")
int BPF_PROG(pi_fentry, u32 *uaddr, unsigned int flags, void *time, int trylock)
{
	return trylock ? 0 : begin((__u64)uaddr, OP_LOCK_PI, is_shared(flags));
}

SEC("fexit/futex_lock_pi")
int BPF_PROG(pi_fexit, u32 *uaddr, unsigned int flags, void *time, int trylock, int ret)
{
	return end(ctx, ret, true);
}

SEC("kprobe/futex_lock_pi")
int BPF_KPROBE(pi_kprobe, u32 *uaddr, unsigned int flags, void *time, int trylock)
{
	return trylock ? 0 : begin((__u64)uaddr, OP_LOCK_PI, is_shared(flags));
}

SEC("kretprobe/futex_lock_pi")
int BPF_KRETPROBE(pi_kret, int ret)
{
	return end(ctx, ret, false);
}

SEC("fentry/futex_wait_multiple")
int BPF_PROG(list_fentry, struct futex_vector *list)
{
	return begin((__u64)list, OP_WAITV, false);
}

SEC("fexit/futex_wait_multiple")
int BPF_PROG(list_fexit, struct futex_vector *list, unsigned int count, void *timeout, int ret)
{
	return end_of_list(ctx, list, ret, true);
}

SEC("kprobe/futex_wait_multiple")
int BPF_KPROBE(list_kprobe, struct futex_vector *list)
{
	return begin((__u64)list, OP_WAITV, false);
}

SEC("kretprobe/futex_wait_multiple")
int BPF_KRETPROBE(list_kret, int ret)
{
	return end_of_list(ctx, NULL, ret, false);
}

SEC("tracepoint/syscalls/sys_enter_futex")
int call_enter(struct syscall_enter *ctx)
{
	__u32 command = ctx->args[1];
	bool shared = !(command & FUTEX_PRIVATE_FLAG);

	switch (command & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return begin(ctx->args[0], OP_WAIT, shared);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return begin(ctx->args[0], OP_LOCK_PI, shared);
	case FUTEX_WAIT_REQUEUE_PI:
		return begin(ctx->args[0], OP_WAIT_REQUEUE_PI, shared);
	}
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_futex")
int call_exit(struct syscall_exit *ctx)
{
	return end(ctx, ctx->ret, false);
}

SEC("tracepoint/syscalls/sys_enter_futex_wait")
int wait_enter(struct syscall_enter *ctx)
{
	return begin(ctx->args[0], OP_WAIT, !(ctx->args[3] & FUTEX2_PRIVATE));
}

SEC("tracepoint/syscalls/sys_exit_futex_wait")
int wait_exit(struct syscall_exit *ctx)
{
	return end(ctx, ctx->ret, false);
}

SEC("tracepoint/syscalls/sys_enter_futex_waitv")
int waitv_enter(struct syscall_enter *ctx)
{
	return begin(ctx->args[0], OP_WAITV, false);
}

SEC("tracepoint/syscalls/sys_exit_futex_waitv")
int waitv_exit(struct syscall_exit *ctx)
{
	struct futex_waitv waiter = {};
	struct futex_args args;
	__u64 index = ctx->ret >= 0 ? ctx->ret & 127 : 0;

	if (!take(&args))
		return 0;
	bpf_probe_read_user(&waiter, sizeof(waiter), (void *)args.lock + index * sizeof(waiter));
	args.lock = waiter.uaddr;
	args.shared = !(waiter.flags & FUTEX2_PRIVATE);
	return wait_over(ctx, &args, ctx->ret, false);
}
