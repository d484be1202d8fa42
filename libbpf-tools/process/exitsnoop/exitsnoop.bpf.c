// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "exitsnoop.h"

#define SIGNAL_GROUP_EXIT 4 /* linux/sched/signal.h, v5.10 to v7.2 */

const volatile struct exit_config cfg = {};

/* Processes of several threads that have ended, each once. Two threads that end at one time may both
 * find none left; the one that comes second must not report the process again. */
struct ended_process {
	__u64 start_ns;
	__u64 tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct ended_process);
	__type(value, __u8);
} ended SEC(".maps");

__u64 several; /* whether there was any such process: else nobody has to be looked up */

/* Whether this is the first thread that finds the process at its end. */
static __noinline bool process_ends(struct task_struct *leader, int threads)
{
	struct ended_process key = {
		.start_ns = BPF_CORE_READ(leader, start_time),
		.tgid = BPF_CORE_READ(leader, pid),
	};
	__u8 one = 1;
	int err;

	if (threads == 1)
		return !bpf_map_lookup_elem(&ended, &key);
	several = 1;
	err = bpf_map_update_elem(&ended, &key, &one, BPF_NOEXIST);
	return err != -EEXIST;
}

static __always_inline int task_ends(void *ctx, struct task_struct *task, bool typed)
{
	struct signal_struct *signal = READ_FIELD(typed, task, signal);
	struct task_struct *leader = READ_FIELD(typed, task, group_leader), *whose = task, *parent;
	struct exit_event e = {};
	int threads = READ_FIELD(typed, signal, nr_threads);
	__u64 ids;

	e.last = READ_FIELD(typed, signal, live.counter) == 0;
	if (e.last && (threads > 1 || several) && !process_ends(leader, threads))
		e.last = 0;
	if (!cfg.per_thread) {
		if (!e.last)
			return 0;
		whose = leader;
	}
	if (!filter_current())
		return 0;
	e.status = READ_FIELD(typed, task, exit_code);
	if (e.last)
		e.status = READ_FIELD(typed, signal, flags) & SIGNAL_GROUP_EXIT ?
				   READ_FIELD(typed, signal, group_exit_code) :
				   READ_FIELD(typed, leader, exit_code);
	if (!asked_for(!cfg.failed || e.status))
		return 0;
	ids = current_ids();
	e.task.time_ns = bpf_ktime_get_ns();
	e.task.pid = ids >> 32;
	e.task.tid = ids;
	e.task.uid = bpf_get_current_uid_gid();
	comm_of(whose, e.task.comm, typed);
	parent = READ_FIELD(typed, task, real_parent);
	e.ppid = ids_of(parent, typed) >> 32;
	e.age_ns = time_between(READ_FIELD(typed, whose, start_time), e.task.time_ns);
	event_output(ctx, &e, sizeof(e));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exit_tp_btf, struct task_struct *task)
{
	return task_ends(ctx, task, true);
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(exit_raw_tp, struct task_struct *task)
{
	return task_ends(ctx, task, false);
}
