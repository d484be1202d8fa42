// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../frames.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/syscall_abi.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bpf/top.bpf.h"
#include "ucalls.h"

const volatile struct ucalls_config cfg = {};

TOP(struct ucalls_key, struct ucalls_sums, UCALLS_METHODS)

struct ucalls_syscall {
	__u64 start_ns;
	__u32 slot;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct ucalls_syscall);
} syscalls SEC(".maps");

static __always_inline void count_call(struct ucalls_key *key)
{
	bool made;
	struct ucalls_sums *sums = top_entry(key, &made);

	if (sums)
		__sync_fetch_and_add(&sums->count, 1);
}

static __always_inline void count_end(struct ucalls_key *key, __u64 ns)
{
	bool made;
	struct ucalls_sums *sums = top_entry(key, &made);

	if (!sums)
		return;
	__sync_fetch_and_add(&sums->ended, 1);
	__sync_fetch_and_add(&sums->total_ns, ns);
}

SEC("uprobe")
int enter(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct ucalls_key key = {};
	struct runtime_frame call = {};

	if (!filter_current() || !current_holds(0))
		return 0;
	if (read_call(ctx, &key.name, &call) && cfg.timed) {
		call.start_ns = bpf_ktime_get_ns();
		push_frame(&call);
	}
	count_call(&key);
	return 0;
}

SEC("uprobe")
int leave(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct ucalls_key key = {};
	struct runtime_frame call = {};
	__u32 depth = 0;

	if (!filter_current())
		return 0;
	if (read_end(ctx, &key.name, &call, &depth))
		count_end(&key, time_since(call.start_ns));
	return 0;
}

/* Raises a semaphore by being there. */
SEC("uprobe")
int nothing(struct pt_regs *ctx)
{
	return 0;
}

static __always_inline int syscall_enter(bool tracing, __u64 nr)
{
	struct ucalls_key key = {};
	struct ucalls_syscall call = {};
	__u32 tid = bpf_get_current_pid_tgid();

	if (!filter_current() || !current_holds(0))
		return 0;
	call.slot = syscall_slot(tracing, nr);
	key.syscall = call.slot + 1;
	count_call(&key);
	if (cfg.timed) {
		call.start_ns = bpf_ktime_get_ns();
		bpf_map_update_elem(&syscalls, &tid, &call, BPF_ANY);
	}
	return 0;
}

static __always_inline int syscall_exit(void)
{
	struct ucalls_key key = {};
	__u32 tid = bpf_get_current_pid_tgid();
	struct ucalls_syscall *call = bpf_map_lookup_elem(&syscalls, &tid);

	/* It began before we did, or is not wanted. */
	if (!call)
		return 0;
	key.syscall = call->slot + 1;
	count_end(&key, time_since(call->start_ns));
	bpf_map_delete_elem(&syscalls, &tid);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(btf_enter, struct pt_regs *regs, long id) { return syscall_enter(true, id); }
SEC("tp_btf/sys_exit")
int BPF_PROG(btf_exit) { return syscall_exit(); }

SEC("raw_tp/sys_enter")
int BPF_PROG(raw_enter, struct pt_regs *regs, long id) { return syscall_enter(false, id); }
SEC("raw_tp/sys_exit")
int BPF_PROG(raw_exit) { return syscall_exit(); }
