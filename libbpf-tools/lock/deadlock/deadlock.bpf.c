// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "deadlock.h"

/* All programs are attached: without those that see releases, threads would hold more and more. */
bool is_complete = false;

/* By the address of the task. */
HASH_MAP(threads, __u64, struct deadlock_thread, DEADLOCK_THREADS);
static const struct deadlock_thread no_thread;

HASH_MAP(edges, struct deadlock_key, struct deadlock_edge, DEADLOCK_EDGES);
__u32 edges_made = 0; /* tells user space that there is something new */

HASH_MAP(lives, struct deadlock_life_key, __u32, DEADLOCK_LIVES);
bool lives_used = false;

/* What try and timed calls ask for, from their entry to their return. */
struct attempt {
	struct deadlock_lock lock;
	__s32 stack;
	__u32 unused;
	__u64 caller;
};
HASH_MAP(attempts, __u64, struct attempt, DEADLOCK_THREADS);

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, DEADLOCK_THREADS);
	__type(key, __u32);
	__type(value, struct deadlock_birth);
} births SEC(".maps");

/* Who calls the function that begins. */
static __always_inline __u64 caller_of(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	__u64 address = 0;

	bpf_probe_read_user(&address, sizeof(address), (void *)PT_REGS_SP(regs));
	return address;
#else
	return PT_REGS_RET(regs);
#endif
}

static __always_inline __u32 current_image(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return STACK_IMAGE(BPF_CORE_READ(task, mm, start_stack));
}

static __always_inline struct deadlock_lock lock_at(__u64 address, enum deadlock_mode mode)
{
	struct deadlock_lock lock = { .address = address, .mode = mode };

	if (lives_used) {
		struct deadlock_life_key key = { .address = address, .pid = current_ids() >> 32 };
		__u32 *life = bpf_map_lookup_elem(&lives, &key);

		if (life)
			lock.life = *life;
	}
	return lock;
}

static __always_inline bool is_same(const struct deadlock_lock *a, const struct deadlock_lock *b)
{
	return a->address == b->address && a->life == b->life;
}

static __noinline int note_edge(struct deadlock_held *held, const struct deadlock_lock *lock,
				__s32 stack, __u64 caller)
{
	__u64 ids = current_ids();
	struct deadlock_key key = { .pid = ids >> 32, .image = current_image() };
	struct deadlock_edge first = {}, *edge;

	if (!held || !lock)
		return 0;
	key.from = held->lock;
	key.to = *lock;
	edge = bpf_map_lookup_elem(&edges, &key);
	if (edge) {
		__sync_fetch_and_add(&edge->count, 1);
		if (edge->tid != (__u32)ids)
			edge->several = 1;
		return 0;
	}
	first.count = 1;
	first.tid = ids;
	first.from_stack = held->stack;
	first.to_stack = stack;
	first.from_caller = held->caller;
	first.to_caller = caller;
	bpf_get_current_comm(first.comm, sizeof(first.comm));
	if (bpf_map_update_elem(&edges, &key, &first, BPF_ANY)) {
		count_lost_map();
		return 0;
	}
	tell_task(key.pid, key.image);
	__sync_fetch_and_add(&edges_made, 1);
	return 0;
}

/* From all that the thread holds to what it asks for. A lock that it has already is no edge. */
static __always_inline void note_edges(struct deadlock_thread *thread,
				       const struct deadlock_lock *lock, __s32 stack,
				       __u64 caller)
{
	for (int i = 0; i < DEADLOCK_HELD; i++) {
		if (i >= (int)thread->depth)
			break;
		if (is_same(&thread->held[i].lock, lock))
			return;
	}
	for (int i = 0; i < DEADLOCK_HELD; i++) {
		if (i >= (int)thread->depth)
			break;
		note_edge(&thread->held[i], lock, stack, caller);
	}
}

static __always_inline void hold(struct deadlock_thread *thread, const struct deadlock_lock *lock,
				 __s32 stack, __u64 caller)
{
	struct deadlock_held *held;

	for (int i = 0; i < DEADLOCK_HELD; i++) {
		if (i >= (int)thread->depth)
			break;
		if (is_same(&thread->held[i].lock, lock)) {
			thread->held[i].count++;
			return;
		}
	}
	if (thread->depth >= DEADLOCK_HELD) {
		count_lost_map();
		return;
	}
	held = &thread->held[thread->depth++ & (DEADLOCK_HELD - 1)];
	held->lock = *lock;
	held->stack = stack;
	held->caller = caller;
	held->count = 1;
}

static __always_inline struct deadlock_thread *thread_of_current(void)
{
	__u64 task = bpf_get_current_task();
	struct deadlock_thread *thread = find_or_insert(&threads, &task, &no_thread);
	__u32 image = current_image();

	if (thread && thread->image != image) { /* it executed another program */
		thread->image = image;
		thread->depth = 0;
	}
	return thread;
}

static __always_inline int lock(struct pt_regs *ctx, __u64 address, enum deadlock_mode mode)
{
	struct deadlock_thread *thread;
	struct deadlock_lock wanted;
	__u64 caller;
	__s32 stack;

	if (!is_complete || !filter_current())
		return 0;
	thread = thread_of_current();
	if (!thread)
		return 0;
	wanted = lock_at(address, mode);
	stack = stack_id(ctx, BPF_F_USER_STACK);
	if (stack_lost(stack))
		count_lost_stack();
	caller = caller_of(ctx);
	note_edges(thread, &wanted, stack, caller);
	hold(thread, &wanted, stack, caller);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(lock_alone, void *address)
{
	use_task_stack(ctx);
	return lock(ctx, (__u64)address, HELD_ALONE);
}

SEC("uprobe")
int BPF_KPROBE(lock_shared, void *address)
{
	use_task_stack(ctx);
	return lock(ctx, (__u64)address, HELD_SHARED);
}

/* The thread may give up: it has the lock only if the call says so. Who does not wait causes no deadlock. */
static __always_inline int attempt(struct pt_regs *ctx, __u64 address, enum deadlock_mode mode,
				   bool waits)
{
	__u64 task = bpf_get_current_task();
	struct deadlock_thread *thread;
	struct attempt attempt = {};

	if (!is_complete || !filter_current())
		return 0;
	attempt.lock = lock_at(address, mode);
	attempt.stack = stack_id(ctx, BPF_F_USER_STACK);
	attempt.caller = caller_of(ctx);
	if (waits) {
		thread = thread_of_current();
		if (thread)
			note_edges(thread, &attempt.lock, attempt.stack, attempt.caller);
	}
	if (bpf_map_update_elem(&attempts, &task, &attempt, BPF_ANY))
		count_lost_map();
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(try_alone, void *address)
{
	use_task_stack(ctx);
	return attempt(ctx, (__u64)address, HELD_ALONE, false);
}

SEC("uprobe")
int BPF_KPROBE(try_shared, void *address)
{
	use_task_stack(ctx);
	return attempt(ctx, (__u64)address, HELD_SHARED, false);
}

SEC("uprobe")
int BPF_KPROBE(timed_alone, void *address)
{
	use_task_stack(ctx);
	return attempt(ctx, (__u64)address, HELD_ALONE, true);
}

SEC("uprobe")
int BPF_KPROBE(timed_shared, void *address)
{
	use_task_stack(ctx);
	return attempt(ctx, (__u64)address, HELD_SHARED, true);
}

SEC("uretprobe")
int BPF_KRETPROBE(attempt_over, int ret)
{
	use_task_stack(ctx);
	__u64 task = bpf_get_current_task();
	struct attempt *attempt = bpf_map_lookup_elem(&attempts, &task);
	struct deadlock_thread *thread;

	if (!attempt)
		return 0;
	if (!ret) {
		thread = thread_of_current();
		if (thread)
			hold(thread, &attempt->lock, attempt->stack, attempt->caller);
	}
	bpf_map_delete_elem(&attempts, &task);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(unlock, void *address)
{
	use_task_stack(ctx);
	__u64 task = bpf_get_current_task();
	struct deadlock_thread *thread = bpf_map_lookup_elem(&threads, &task);
	int found = -1;

	if (!thread)
		return 0;
	for (int i = 0; i < DEADLOCK_HELD; i++)
		if (i < (int)thread->depth && thread->held[i].lock.address == (__u64)address)
			found = i;
	if (found < 0 || --thread->held[found & (DEADLOCK_HELD - 1)].count)
		return 0;
	for (int i = 0; i < DEADLOCK_HELD - 1; i++)
		if (i >= found && i + 1 < (int)thread->depth)
			thread->held[i] = thread->held[i + 1];
	thread->depth--;
	return 0;
}

/* The wait gives the mutex back and takes it again: after all others that the thread holds. */
SEC("uprobe")
int BPF_KPROBE(condition_wait, void *condition, void *mutex)
{
	use_task_stack(ctx);
	__u64 task = bpf_get_current_task();
	struct deadlock_thread *thread = bpf_map_lookup_elem(&threads, &task);
	struct deadlock_lock wanted;
	__u64 caller;
	__s32 stack;

	if (!thread || thread->depth < 2)
		return 0;
	wanted = lock_at((__u64)mutex, HELD_ALONE);
	caller = caller_of(ctx);
	stack = stack_id(ctx, BPF_F_USER_STACK);
	for (int i = 0; i < DEADLOCK_HELD; i++) {
		if (i >= (int)thread->depth)
			break;
		if (!is_same(&thread->held[i].lock, &wanted))
			note_edge(&thread->held[i], &wanted, stack, caller);
	}
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(destroy, void *address)
{
	use_task_stack(ctx);
	struct deadlock_life_key key = { .address = (__u64)address };
	__u32 first = 1, *life;

	if (!filter_current())
		return 0;
	key.pid = current_ids() >> 32;
	life = bpf_map_lookup_elem(&lives, &key);
	if (life)
		__sync_fetch_and_add(life, 1);
	else if (bpf_map_update_elem(&lives, &key, &first, BPF_NOEXIST))
		count_lost_map();
	lives_used = true;
	return 0;
}

/* The running task is the one that creates. */
SEC("raw_tp/task_newtask")
int new_thread(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct deadlock_birth birth = {};
	__u64 ids;
	__u32 tid;

	if (!(ctx->args[1] & CLONE_THREAD) || !filter_current())
		return 0;
	ids = current_ids();
	birth.pid = ids >> 32;
	birth.tid = ids;
	birth.image = current_image();
	birth.stack = stack_id(ctx, BPF_F_USER_STACK);
	bpf_get_current_comm(birth.comm, sizeof(birth.comm));
	tid = task_ids(task);
	bpf_map_update_elem(&births, &tid, &birth, BPF_ANY);
	return 0;
}

/* The address of a task that is gone is soon another's. */
SEC("raw_tp/sched_process_free")
int task_free(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 task = ctx->args[0];

	bpf_map_delete_elem(&threads, &task);
	bpf_map_delete_elem(&attempts, &task);
	return 0;
}
