// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/sched.bpf.h"
#include "runqslower.h"

const volatile struct runq_config cfg = {};

/* By thread id, modulo the number of slots. An array: this is looked up at every wakeup and twice at
 * every switch, and an array's lookup is six instructions. User space makes it as large as pid_max
 * asks for, within reason; where two waiting threads then share a slot, the first one's wait is
 * found missing when it ends, and counted as lost. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} waiting SEC(".maps");

static __always_inline __u64 *slot_of(__u32 tid)
{
	__u32 slot = tid & cfg.slot_mask;

	return bpf_map_lookup_elem(&waiting, &slot);
}

static __always_inline __u64 since(__u32 tid, __u64 now)
{
	return (__u64)tid << RUNQ_TIME_BITS | (now >> RUNQ_TIME_SHIFT & RUNQ_TIME_MASK);
}

static __always_inline int wakeup(struct task_struct *task, bool typed)
{
	__u32 tid = sched_tid(task, typed);
	__u64 *slot = slot_of(tid);

	/* One that was preempted on its way to sleep has been waiting since then. */
	if (slot && (*slot >> RUNQ_TIME_BITS != tid || !(*slot & RUNQ_TIME_MASK)))
		*slot = since(tid, bpf_ktime_get_ns());
	return 0;
}

static __always_inline bool wanted(struct task_struct *next, const char *comm)
{
	for (__u32 i = 0; i < COMM_LEN - 1 && i < cfg.prefix_len; i++)
		if (comm[i] != cfg.prefix[i])
			return false;
	return filter_task(next);
}

static __always_inline void report(void *ctx, struct task_struct *prev, struct task_struct *next,
				   __u64 now, __u64 wait)
{
	struct runq_event e = { .time_ns = now, .wait_ns = wait };
	__u64 ids = task_ids(next);

	if (ids >> 32 == cb_filter.self)
		return;
	BPF_CORE_READ_STR_INTO(&e.comm, next, comm);
	if (!wanted(next, e.comm)) {
		count_filtered();
		return;
	}
	e.pid = ids >> 32;
	e.tid = ids;
	ids = task_ids(prev);
	e.prev_pid = ids >> 32;
	e.prev_tid = ids;
	e.cpu = bpf_get_smp_processor_id();
	e.prio = BPF_CORE_READ(next, prio);
	BPF_CORE_READ_STR_INTO(&e.prev_comm, prev, comm);
	event_output(ctx, &e, sizeof(e));
}

static __always_inline int switched(void *ctx, bool preempt, struct task_struct *prev,
				    struct task_struct *next, bool typed)
{
	__u32 prev_tid = sched_tid(prev, typed), tid = sched_tid(next, typed);
	bool queued = prev_stays_queued(preempt, prev, typed);
	__u64 now, begun, wait, *slot;

	slot = slot_of(prev_tid);
	if (!slot)
		return 0;
	/* A wakeup that came while the thread still ran began a wait that is none. */
	if (!queued && *slot >> RUNQ_TIME_BITS == prev_tid)
		*slot = since(prev_tid, 0);
	if (!queued && !tid)
		return 0;
	now = bpf_ktime_get_ns();
	if (queued && prev_tid)
		*slot = since(prev_tid, now);
	if (!tid) /* a CPU's idle task waits for nothing */
		return 0;

	slot = slot_of(tid);
	if (!slot)
		return 0;
	begun = *slot;
	if (begun >> RUNQ_TIME_BITS != tid) {
		if (begun)
			count_lost_map();
		return 0;
	}
	begun &= RUNQ_TIME_MASK;
	if (!begun)
		return 0;
	*slot = since(tid, 0);
	wait = ((now >> RUNQ_TIME_SHIFT) - begun & RUNQ_TIME_MASK) << RUNQ_TIME_SHIFT;
	if (wait >= cfg.min_ns)
		report(ctx, prev, next, now, wait);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(wakeup_tp_btf, struct task_struct *task)
{
	return wakeup(task, true);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(new_tp_btf, struct task_struct *task)
{
	return wakeup(task, true);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switch_tp_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, preempt, prev, next, true);
}

SEC("raw_tp/sched_wakeup")
int BPF_PROG(wakeup_raw_tp, struct task_struct *task)
{
	return wakeup(task, false);
}

SEC("raw_tp/sched_wakeup_new")
int BPF_PROG(new_raw_tp, struct task_struct *task)
{
	return wakeup(task, false);
}

SEC("raw_tp/sched_switch")
int BPF_PROG(switch_raw_tp, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return switched(ctx, preempt, prev, next, false);
}
