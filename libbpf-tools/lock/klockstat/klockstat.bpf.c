// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/stack_memo.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/task_place.bpf.h"
#include "bpf/where.bpf.h"
#include "klockstat.h"

/* trace/events/lock.h, LCB_F_...; v5.19 to v7.2 */
#define CONTENTION_SPIN 1
#define CONTENTION_READ 2
#define CONTENTION_WRITE 4
#define CONTENTION_RT 8
#define CONTENTION_PERCPU 16
#define CONTENTION_MUTEX 32

const volatile struct klock_config cfg = {};

/* All programs are attached: without those that see releases, tasks would hold more and more. */
bool is_complete = false;

/* What tasks hold lies at places by a hash of the task (bpf/task_place.bpf.h); of tasks without a place
 * in the map. */
struct klock_task places[1 << KLOCK_PLACES_BITS];
HASH_MAP(tasks, __u64, struct klock_task, KLOCK_TASKS);
bool tasks_used = false;
static const struct klock_task no_task;

/* One value for all CPUs: at the end of a run there are as many as places in the code. */
HASH_MAP(cb_lock_sums, struct klock_key, struct klock_sum, KLOCK_SUMS);
static const struct klock_sum no_sum;

static __always_inline struct klock_task *place_of(__u64 task, __u32 *number)
{
	*number = place_of_task(task, KLOCK_PLACES_BITS);
	return &places[*number & ((1 << KLOCK_PLACES_BITS) - 1)];
}

/* What the running task holds; NULL: nothing. */
static __always_inline struct klock_task *locks_of_current(void)
{
	__u64 task = bpf_get_current_task();
	struct klock_task *place;
	__u32 number;

	place = place_of(task, &number);
	if (place->owner == task)
		return place;
	return tasks_used ? bpf_map_lookup_elem(&tasks, &task) : NULL;
}

static __noinline struct klock_task *make_locks_of_current(void)
{
	__u64 task = bpf_get_current_task();
	struct klock_task *place;
	__u32 number;

	place = place_of(task, &number);
	if (take_place(&place->owner, number, task)) {
		place->depth = 0;
		return place;
	}
	tasks_used = true;
	return find_or_insert(&tasks, &task, &no_task);
}

/* The task is gone, and its address soon another's. */
SEC("raw_tp/sched_process_free")
int task_free(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 task = ctx->args[0];
	struct klock_task *place;
	__u32 number;

	place = place_of(task, &number);
	if (place->owner == task)
		place->owner = 0;
	else if (tasks_used)
		bpf_map_delete_elem(&tasks, &task);
	return 0;
}

static __always_inline bool is_wanted(__u64 lock)
{
	return is_complete && (!cfg.lock || asked_for(lock == cfg.lock)) && filter_current();
}

/* The task asks for a lock, or has it already: `acquired_ns`. */
static __always_inline int ask(void *ctx, __u64 lock, enum klock_kind kind, bool acquired)
{
	struct klock_held *held;
	struct klock_task *task;
	__s32 stack = STACK_NONE;
	__u64 now;

	if (!is_wanted(lock))
		return 0;
	if (!cfg.threads && !cfg.locks)
		stack = running_stack_id(ctx);
	task = locks_of_current();
	if (!task) {
		task = make_locks_of_current();
		if (!task)
			return 0;
	}
	/* Others released what it took, or their releases were missed. */
	if (task->depth >= KLOCK_HELD) {
		count_lost_map();
		task->depth = 0;
	}
	held = &task->held[task->depth++ & (KLOCK_HELD - 1)];
	now = bpf_ktime_get_ns();
	held->lock = lock;
	held->start_ns = now;
	held->acquired_ns = acquired ? now : 0;
	held->stack = stack;
	held->kind = kind;
	return 0;
}

/* Its place among what the task has, the last first; negative: it is not there. */
static __always_inline int find(struct klock_task *task, __u64 lock)
{
	for (int i = KLOCK_HELD - 1; i >= 0; i--)
		if (i < (int)task->depth && task->held[i].lock == lock)
			return i;
	return -1;
}

static __always_inline void forget(struct klock_task *task, int at)
{
	for (int i = 0; i < KLOCK_HELD - 1; i++)
		if (i >= at && i + 1 < (int)task->depth)
			task->held[i] = task->held[i + 1];
	task->depth--;
}

static __always_inline int acquired(__u64 lock, bool failed)
{
	struct klock_task *task = locks_of_current();
	int at;

	if (!task)
		return 0;
	at = find(task, lock);
	if (at < 0)
		return 0;
	if (failed)
		forget(task, at);
	else
		task->held[at & (KLOCK_HELD - 1)].acquired_ns = bpf_ktime_get_ns();
	return 0;
}

static __noinline bool lock_holds(void *ctx, const struct klock_held *held, __u64 wait, __u64 hold)
{
	__u64 ids = current_ids();
	struct klock_event e = {
		.wait_ns = wait,
		.hold_ns = hold,
		.lock = held->lock,
		.pid = ids >> 32,
		.tid = ids,
		.kind = held->kind,
	};

	bpf_get_current_comm(e.comm, sizeof(e.comm));
	return where_holds(ctx, &e, sizeof(e));
}

/* Two CPUs may find a longest one at once, of which one remains. */
static __noinline int note_longest(struct klock_longest *longest, __u64 lock, __u64 ns)
{
	__u64 ids = current_ids();

	if (!longest)
		return 0;
	longest->ns = ns;
	longest->lock = lock;
	longest->pid = ids >> 32;
	longest->tid = ids;
	bpf_get_current_comm(longest->comm, sizeof(longest->comm));
	return 0;
}

static __always_inline int over(void *ctx, const struct klock_held *held, __u64 now)
{
	struct klock_key key = { .generation = cb_generation, .kind = held->kind };
	__u64 acquired_ns = held->acquired_ns, lock = held->lock;
	__u64 wait = time_between(held->start_ns, acquired_ns), hold = time_between(acquired_ns, now);
	struct klock_sum *sum;

	key.stack = held->stack;
	if (cb_where_on && !lock_holds(ctx, held, wait, hold))
		return 0;
	if (cfg.threads)
		key.tid = current_ids();
	if (cfg.locks)
		key.lock = lock;
	sum = find_or_insert(&cb_lock_sums, &key, &no_sum);
	if (!sum)
		return 0;
	__sync_fetch_and_add(&sum->count, 1);
	__sync_fetch_and_add(&sum->wait_ns, wait);
	if (wait > sum->wait.ns || !sum->wait.lock)
		note_longest(&sum->wait, lock, wait);
	if (!cfg.contention) {
		__sync_fetch_and_add(&sum->hold_ns, hold);
		if (hold > sum->hold.ns || !sum->hold.lock)
			note_longest(&sum->hold, lock, hold);
	}
	if (stack_lost(key.stack))
		count_lost_stack();
	return 0;
}

static __always_inline int released(void *ctx, __u64 lock)
{
	struct klock_task *task = locks_of_current();
	struct klock_held held;
	int at;

	if (!task || !task->depth)
		return 0;
	at = find(task, lock);
	if (at < 0) /* it had it before we were there, or another task took it */
		return 0;
	held = task->held[at & (KLOCK_HELD - 1)];
	forget(task, at);
	if (!held.acquired_ns) {
		__sync_fetch_and_add(&account()->lost_return, 1);
		return 0;
	}
	return over(ctx, &held, bpf_ktime_get_ns());
}

/* --- A function that takes a lock, and always gets it; one that may fail; one that tries and says whether
 * it got it. */

#define LOCK_PROGS(function, name, kind)                                           \
	SEC("fentry/" #function)                                                   \
	int BPF_PROG(name##_fentry, void *lock)                                    \
	{                                                                          \
		return ask(ctx, (__u64)lock, kind, false);                         \
	}                                                                          \
	SEC("kprobe/" #function)                                                   \
	int BPF_KPROBE(name##_kprobe, void *lock)                                  \
	{                                                                          \
		return ask(ctx, (__u64)lock, kind, false);                         \
	}

#define GETS(function, name, kind)                                                 \
	LOCK_PROGS(function, name, kind)                                           \
	SEC("fexit/" #function)                                                    \
	int BPF_PROG(name##_fexit, void *lock)                                     \
	{                                                                          \
		return acquired((__u64)lock, false);                               \
	}                                                                          \
	SEC("kretprobe/" #function)                                                \
	int BPF_KRETPROBE(name##_kret)                                             \
	{                                                                          \
		return acquired_last(false);                                       \
	}

#define MAY_FAIL(function, name, kind)                                             \
	LOCK_PROGS(function, name, kind)                                           \
	SEC("fexit/" #function)                                                    \
	int BPF_PROG(name##_fexit, void *lock, int ret)                            \
	{                                                                          \
		return acquired((__u64)lock, ret);                                 \
	}                                                                          \
	SEC("kretprobe/" #function)                                                \
	int BPF_KRETPROBE(name##_kret, int ret)                                    \
	{                                                                          \
		return acquired_last(ret);                                         \
	}

#define TRIES(function, name, kind)                                                \
	SEC("fexit/" #function)                                                    \
	int BPF_PROG(name##_fexit, void *lock, int ret)                            \
	{                                                                          \
		return ret ? ask(ctx, (__u64)lock, kind, true) : 0;                \
	}                                                                          \
	SEC("kprobe/" #function)                                                   \
	int BPF_KPROBE(name##_kprobe, void *lock)                                  \
	{                                                                          \
		return ask(ctx, (__u64)lock, kind, false);                         \
	}                                                                          \
	SEC("kretprobe/" #function)                                                \
	int BPF_KRETPROBE(name##_kret, int ret)                                    \
	{                                                                          \
		return acquired_last(!ret);                                        \
	}

#define RELEASES(function, name)                                                   \
	SEC("fentry/" #function)                                                   \
	int BPF_PROG(name##_fentry, void *lock)                                    \
	{                                                                          \
		return released(ctx, (__u64)lock);                                 \
	}                                                                          \
	SEC("kprobe/" #function)                                                   \
	int BPF_KPROBE(name##_kprobe, void *lock)                                  \
	{                                                                          \
		return released(ctx, (__u64)lock);                                 \
	}

/* A return does not say of which lock: of the one that the task asked for last. */
static __always_inline int acquired_last(bool failed)
{
	struct klock_task *task = locks_of_current();
	struct klock_held *held;

	if (!task || !task->depth)
		return 0;
	held = &task->held[(task->depth - 1) & (KLOCK_HELD - 1)];
	if (held->acquired_ns)
		return 0;
	if (failed)
		task->depth--;
	else
		held->acquired_ns = bpf_ktime_get_ns();
	return 0;
}

GETS(mutex_lock, m_lock, KLOCK_MUTEX)
GETS(mutex_lock_io, m_io, KLOCK_MUTEX)
MAY_FAIL(mutex_lock_interruptible, m_int, KLOCK_MUTEX)
MAY_FAIL(mutex_lock_killable, m_kill, KLOCK_MUTEX)
TRIES(mutex_trylock, m_try, KLOCK_MUTEX)
RELEASES(mutex_unlock, m_unlock)

GETS(down_read, r_lock, KLOCK_READ)
MAY_FAIL(down_read_interruptible, r_int, KLOCK_READ)
MAY_FAIL(down_read_killable, r_kill, KLOCK_READ)
TRIES(down_read_trylock, r_try, KLOCK_READ)
RELEASES(up_read, r_unlock)

GETS(down_write, w_lock, KLOCK_WRITE)
MAY_FAIL(down_write_killable, w_kill, KLOCK_WRITE)
TRIES(down_write_trylock, w_try, KLOCK_WRITE)
RELEASES(up_write, w_unlock)

GETS(rt_mutex_lock, rt_lock, KLOCK_RT)
MAY_FAIL(rt_mutex_lock_interruptible, rt_int, KLOCK_RT)
TRIES(rt_mutex_trylock, rt_try, KLOCK_RT)
RELEASES(rt_mutex_unlock, rt_done)

/* A writer's lock becomes a reader's: it is held on. */
static __always_inline int downgraded(void *ctx, __u64 lock)
{
	struct klock_task *task = locks_of_current();
	int at = task ? find(task, lock) : -1;
	struct klock_held *held, before;

	if (at < 0)
		return 0;
	held = &task->held[at & (KLOCK_HELD - 1)];
	if (!held->acquired_ns)
		return 0;
	before = *held;
	held->kind = KLOCK_READ;
	held->start_ns = held->acquired_ns = bpf_ktime_get_ns();
	return over(ctx, &before, held->acquired_ns);
}

SEC("fentry/downgrade_write")
int BPF_PROG(demote_fentry, void *lock)
{
	return downgraded(ctx, (__u64)lock);
}

SEC("kprobe/downgrade_write")
int BPF_KPROBE(demote_kprobe, void *lock)
{
	return downgraded(ctx, (__u64)lock);
}

/* --- Locks that a task has to wait for, and only those. */

static __always_inline enum klock_kind kind_of(unsigned int flags)
{
	if (flags & CONTENTION_MUTEX)
		return KLOCK_MUTEX;
	if (flags & CONTENTION_PERCPU)
		return flags & CONTENTION_WRITE ? KLOCK_PERCPU_WRITE : KLOCK_PERCPU_READ;
	if (flags & CONTENTION_SPIN)
		return flags & CONTENTION_READ	? KLOCK_SPIN_READ :
		       flags & CONTENTION_WRITE ? KLOCK_SPIN_WRITE :
						  KLOCK_SPIN;
	if (flags & CONTENTION_RT)
		return KLOCK_RT;
	return flags & CONTENTION_READ ? KLOCK_READ : KLOCK_WRITE;
}

static __always_inline int contended(void *ctx, __u64 lock, unsigned int flags)
{
	struct klock_task *task = locks_of_current();

	/* A mutex says so once when a task begins to spin, and once more when it goes to sleep. */
	if (task && task->depth &&
	    task->held[(task->depth - 1) & (KLOCK_HELD - 1)].lock == lock)
		return 0;
	return ask(ctx, lock, kind_of(flags), false);
}

static __always_inline int contended_no_more(void *ctx, __u64 lock)
{
	struct klock_task *task = locks_of_current();
	struct klock_held held;
	int at;

	if (!task || !task->depth)
		return 0;
	at = find(task, lock);
	if (at < 0)
		return 0;
	held = task->held[at & (KLOCK_HELD - 1)];
	forget(task, at);
	held.acquired_ns = bpf_ktime_get_ns();
	return over(ctx, &held, held.acquired_ns);
}

SEC("tp_btf/contention_begin")
int BPF_PROG(begin_tp_btf, void *lock, unsigned int flags)
{
	return contended(ctx, (__u64)lock, flags);
}

SEC("tp_btf/contention_end")
int BPF_PROG(end_tp_btf, void *lock)
{
	return contended_no_more(ctx, (__u64)lock);
}

SEC("raw_tp/contention_begin")
int BPF_PROG(begin_raw_tp, void *lock, unsigned int flags)
{
	return contended(ctx, (__u64)lock, flags);
}

SEC("raw_tp/contention_end")
int BPF_PROG(end_raw_tp, void *lock)
{
	return contended_no_more(ctx, (__u64)lock);
}
