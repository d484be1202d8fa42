// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/hist.bpf.h"
#include "bpf/where.bpf.h"
#include "wqlat.h"

const volatile struct wqlat_config cfg = { .unit_ns = 1000 };
HIST()
HISTS_BY_CPU(struct wqlat_key, 8192)

/* Work that was queued, or is executed, since then; found by a hash. Work that is cancelled is told
 * of by nobody: what remains of it is overwritten by the next that has its slot. */
struct work_slot {
	__u64 of; /* number_of() the work */
	__u64 ns;
	__u64 queue; /* struct workqueue_struct *, whose type would come along */
	__u64 function; /* of work that is executed */
	__u64 evicted; /* the work that lost the place to `of`, 0: none */
	__u32 worker, evicted_worker; /* their workers' ids, of work that is executed */
	__u64 again; /* queued while it was not seen to start: cancelled before, or starting */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WORK_SLOTS);
	__type(key, __u32);
	__type(value, struct work_slot);
} queued SEC(".maps"), executing SEC(".maps");

static __always_inline struct work_slot *slot_of(void *map, __u64 of)
{
	__u32 slot = of * 0x9e3779b97f4a7c15ull >> 50; /* Fibonacci hashing */

	return bpf_map_lookup_elem(map, &slot);
}
_Static_assert(WORK_SLOTS == 1 << (64 - 50), "the hash is for that many");

static __always_inline bool names_match(const char *name)
{
	for (int i = 0; i < WQ_NAME_LEN; i++) {
		if (name[i] != cfg.name[i])
			return false;
		if (!name[i])
			break;
	}
	return true;
}

static __noinline int count_by_key(struct workqueue_struct *queue, __u64 function, __u64 ns)
{
	struct wqlat_key key = { .cpu = bpf_get_smp_processor_id(), .function = function };

	if (cfg.by_name)
		BPF_CORE_READ_STR_INTO(&key.name, queue, name);
	hists_count(&key, ns, cfg.unit_ns);
	return 0;
}

static __noinline bool queue_wanted(struct workqueue_struct *queue)
{
	char name[WQ_NAME_LEN] = {};

	BPF_CORE_READ_STR_INTO(&name, queue, name);
	return names_match(name);
}

static __noinline bool holds(struct workqueue_struct *queue, __u64 ns)
{
	struct wqlat_event e = { .ns = ns, .cpu = bpf_get_smp_processor_id() };

	BPF_CORE_READ_STR_INTO(&e.name, queue, name);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline void count(struct workqueue_struct *queue, __u64 function, __u64 ns)
{
	if (cfg.named && !queue_wanted(queue)) {
		count_filtered();
		return;
	}
	if (cb_where_on && !holds(queue, ns))
		return;
	if (cfg.by_name || cfg.by_function)
		count_by_key(queue, function, ns);
	else
		hist_count(ns, cfg.unit_ns);
}

/* A number for a piece of work. The verifier does no more with an argument of a tp_btf program (`typed`)
 * than take another pointer off it, which gives a number; the address of a map is always the same. */
static __always_inline __u64 number_of(struct work_struct *work, bool typed)
{
	__u64 number = (__u64)work;

	if (typed)
		number -= (__u64)&queued;
	barrier_var(number);
	return number;
}

/* Gives the place to the work or run; who loses it is remembered, for it will not find itself. */
static __always_inline void occupy(struct work_slot *slot, __u64 of, __u32 worker)
{
	if (slot->evicted == of && slot->evicted_worker == worker)
		slot->evicted = 0;
	slot->again = slot->ns && slot->of == of && slot->worker == worker;
	if (slot->ns && !slot->again) {
		if (slot->evicted) /* the third in one place: only one name is kept */
			count_lost_map();
		slot->evicted = slot->of;
		slot->evicted_worker = slot->worker;
	}
	slot->of = of;
	slot->worker = worker;
}

static __always_inline int queue_work(struct pool_workqueue *pool, struct work_struct *work,
				      bool typed)
{
	__u64 number = number_of(work, typed);
	struct work_slot *slot = slot_of(&queued, number);

	if (!slot)
		return 0;
	occupy(slot, number, 0);
	if (cfg.by_name || cfg.named || cb_where_on)
		slot->queue = (__u64)BPF_CORE_READ(pool, wq);
	slot->ns = bpf_ktime_get_ns();
	return 0;
}

/* Takes what is known of the work or run; 0: nothing. Only one that lost its place is counted: the kernel
 * also executes work that was put into no queue (flush_work()'s barriers), which others' places do not
 * mind. `again`: one start too many, of work that was queued twice. */
static __always_inline __u64 take(struct work_slot *slot, __u64 of, __u32 worker,
				  struct workqueue_struct **queue, bool *again)
{
	__u64 ns;

	*again = false;
	if (!slot || !slot->of)
		return 0;
	ns = slot->ns;
	*queue = (struct workqueue_struct *)slot->queue;
	/* After the others: another one may overwrite them just now. */
	if (*(volatile __u64 *)&slot->of != of || slot->worker != worker) {
		if (slot->evicted == of && slot->evicted_worker == worker) {
			slot->evicted = 0;
			count_lost_map();
		}
		return 0;
	}
	if (!ns && slot->again) {
		slot->again = 0;
		*again = true;
	}
	/* Not what the same work may have left here since, queued again. */
	if (*(volatile __u64 *)&slot->ns == ns)
		slot->ns = 0;
	return ns;
}

static __always_inline int start(struct work_struct *work, bool typed)
{
	__u64 number = number_of(work, typed), since, function = 0;
	struct workqueue_struct *queue = NULL;
	struct work_slot *slot;
	__u32 worker;
	bool again;

	if (cfg.by_function)
		function = (__u64)(typed ? work->func : BPF_CORE_READ(work, func));
	if (!cfg.execution || cfg.by_name || cfg.named || cb_where_on) {
		since = take(slot_of(&queued, number), number, 0, &queue, &again);
		if (!since) {
			/* Queued again between when the kernel allows that and when it tells of the
			 * start: the first start has taken the time of both. */
			if (again)
				count_lost_map();
			return 0;
		}
		if (!cfg.execution) {
			count(queue, function, time_since(since));
			return 0;
		}
	}
	worker = bpf_get_current_pid_tgid();
	/* By work and worker: of a worker's tid alone there may be two at a time (work that runs in
	 * softirqs, 6.9+), and where a program was skipped the end that is not seen is another's. */
	slot = slot_of(&executing, number ^ worker);
	if (!slot)
		return 0;
	occupy(slot, number, worker);
	slot->queue = (__u64)queue;
	slot->function = function;
	slot->ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int end(struct work_struct *work, bool typed)
{
	struct workqueue_struct *queue = NULL;
	__u64 number = number_of(work, typed), since, function;
	__u32 worker = bpf_get_current_pid_tgid();
	struct work_slot *slot = slot_of(&executing, number ^ worker);
	bool again;

	/* Not from the work: that may be freed by now. */
	function = slot ? slot->function : 0;
	since = take(slot, number, worker, &queue, &again);
	if (since)
		count(queue, function, time_since(since));
	return 0;
}

SEC("tp_btf/workqueue_queue_work")
int BPF_PROG(queue_tp_btf, int cpu, struct pool_workqueue *pool, struct work_struct *work)
{
	return queue_work(pool, work, true);
}

SEC("tp_btf/workqueue_execute_start")
int BPF_PROG(start_tp_btf, struct work_struct *work)
{
	return start(work, true);
}

SEC("tp_btf/workqueue_execute_end")
int BPF_PROG(end_tp_btf, struct work_struct *work)
{
	return end(work, true);
}

SEC("raw_tp/workqueue_queue_work")
int BPF_PROG(queue_raw_tp, int cpu, struct pool_workqueue *pool, struct work_struct *work)
{
	return queue_work(pool, work, false);
}

SEC("raw_tp/workqueue_execute_start")
int BPF_PROG(start_raw_tp, struct work_struct *work)
{
	return start(work, false);
}

SEC("raw_tp/workqueue_execute_end")
int BPF_PROG(end_raw_tp, struct work_struct *work)
{
	return end(work, false);
}
