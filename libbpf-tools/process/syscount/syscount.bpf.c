// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/syscall_abi.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/top.bpf.h"
#include "syscount.h"

#define MAX_ERRNO 4095

#if defined(__TARGET_ARCH_x86)
enum { NR_CLONE = 56, NR_FORK = 57, NR_VFORK = 58, NR_EXECVE = 59, NR_EXIT = 60,
       NR_EXIT_GROUP = 231, NR_CLONE3 = 435,
       I386_EXIT = 1, I386_FORK = 2, I386_EXECVE = 11, I386_CLONE = 120,
       I386_VFORK = 190, I386_EXIT_GROUP = 252, X32_EXECVE = 520 };
#elif defined(__TARGET_ARCH_arm64)
enum { NR_CLONE = 220, NR_EXECVE = 221, NR_EXIT = 93, NR_EXIT_GROUP = 94,
       NR_CLONE3 = 435,
       ARM_EXIT = 1, ARM_FORK = 2, ARM_EXECVE = 11, ARM_CLONE = 120, ARM_VFORK = 190,
       ARM_EXIT_GROUP = 248 };
#endif

const volatile struct syscount_config cfg = {};

/* By generation, CPU and system call: no hash, nothing shared by CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * SYSCALL_SLOTS);
	__type(key, __u32);
	__type(value, struct syscount_sums);
} cb_syscalls SEC(".maps");

TOP(struct syscount_key, struct syscount_process, 16384)

/* By task_struct: execve of a thread that is not the first changes its TID, not that. An entry
 * lives as long as its task: deleting and making it with each call would cost twice as much. */
HASH_MAP(cb_calls, __u64, struct syscount_call, 16384);

/* The child of a fork leaves its parent's call too, with 0. */
static __always_inline bool is_fork(__u32 slot)
{
	switch (slot) {
#if defined(__TARGET_ARCH_x86)
	case NR_FORK:
	case NR_VFORK:
	case SYSCALL_SLOT(SYSCALL_32BIT, I386_FORK):
	case SYSCALL_SLOT(SYSCALL_32BIT, I386_VFORK):
	case SYSCALL_SLOT(SYSCALL_32BIT, I386_CLONE):
	case SYSCALL_SLOT(SYSCALL_32BIT, NR_CLONE3):
	case SYSCALL_SLOT(SYSCALL_X32, NR_FORK):
	case SYSCALL_SLOT(SYSCALL_X32, NR_VFORK):
	case SYSCALL_SLOT(SYSCALL_X32, NR_CLONE):
	case SYSCALL_SLOT(SYSCALL_X32, NR_CLONE3):
#elif defined(__TARGET_ARCH_arm64)
	case SYSCALL_SLOT(SYSCALL_32BIT, ARM_FORK):
	case SYSCALL_SLOT(SYSCALL_32BIT, ARM_VFORK):
	case SYSCALL_SLOT(SYSCALL_32BIT, ARM_CLONE):
	case SYSCALL_SLOT(SYSCALL_32BIT, NR_CLONE3):
#endif
	case NR_CLONE:
	case NR_CLONE3:
		return true;
	}
	return false;
}

static __always_inline bool is_exit(__u32 slot)
{
	switch (slot) {
#if defined(__TARGET_ARCH_x86)
	case SYSCALL_SLOT(SYSCALL_32BIT, I386_EXIT):
	case SYSCALL_SLOT(SYSCALL_32BIT, I386_EXIT_GROUP):
	case SYSCALL_SLOT(SYSCALL_X32, NR_EXIT):
	case SYSCALL_SLOT(SYSCALL_X32, NR_EXIT_GROUP):
#elif defined(__TARGET_ARCH_arm64)
	case SYSCALL_SLOT(SYSCALL_32BIT, ARM_EXIT):
	case SYSCALL_SLOT(SYSCALL_32BIT, ARM_EXIT_GROUP):
#endif
	case NR_EXIT:
	case NR_EXIT_GROUP:
		return true;
	}
	return false;
}

static __always_inline bool is_execve(__u32 slot)
{
#if defined(__TARGET_ARCH_x86)
	return slot == NR_EXECVE || slot == SYSCALL_SLOT(SYSCALL_32BIT, I386_EXECVE) ||
	       slot == SYSCALL_SLOT(SYSCALL_X32, X32_EXECVE);
#else
	return slot == NR_EXECVE || slot == SYSCALL_SLOT(SYSCALL_32BIT, ARM_EXECVE);
#endif
}

static __always_inline struct syscount_sums *process_sums(__u32 pid, __u32 slot, bool failed)
{
	struct syscount_key key = { .pid = pid, .slot = cfg.per_syscall ? slot : SYSCOUNT_ANY };
	struct syscount_process *process;
	bool made;

	process = top_entry(&key, &made);
	if (!process)
		return NULL;
	if (made || (is_execve(slot) && !failed)) {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		task = BPF_CORE_READ(task, group_leader);
		BPF_CORE_READ_STR_INTO(&process->comm, task, comm);
	}
	return &process->sums;
}

static __always_inline struct syscount_sums *syscall_sums(__u32 slot)
{
	struct syscount_sums *sums;
	__u32 set = cb_generation;

	if (cfg.cpus > 1)
		set = set * cfg.cpus + bpf_get_smp_processor_id();
	slot += set * SYSCALL_SLOTS;
	sums = bpf_map_lookup_elem(&cb_syscalls, &slot);
	if (!sums)
		count_lost_map();
	return sums;
}

static __always_inline bool is_failure(long ret)
{
	return ret < 0 && ret >= -MAX_ERRNO;
}

static __noinline int holds(long ret, __u64 ns)
{
	struct syscount_event e = { .ret = ret };

	task_event_current(&e.task, ns);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline int count(__u32 slot, __u32 pid, long ret, __u64 ns)
{
	bool failed = is_failure(ret);
	struct syscount_sums *sums;

	if (cfg.failed && !asked_for(failed))
		return 0;
	if (cfg.error && !asked_for(ret == -cfg.error))
		return 0;
	if (cb_where_on && !holds(ret, ns))
		return 0;
	sums = cfg.by_process ? process_sums(pid, slot, failed) : syscall_sums(slot);
	if (!sums)
		return 0;
	__sync_fetch_and_add(&sums->count, 1);
	if (failed)
		__sync_fetch_and_add(&sums->failed, 1);
	/* clang makes an atomic "or" of an addition of 0, which 5.10 does not know. */
	if (cfg.timed && ns) {
		__sync_fetch_and_add(&sums->total_ns, ns);
		/* Each CPU has its own. */
		if (!cfg.by_process && ns > sums->max_ns)
			sums->max_ns = ns;
	}
	return 0;
}

static __always_inline bool wanted(__u32 slot)
{
	return filter_current() && asked_for(!cfg.by_slot || slot == cfg.slot);
}

static __always_inline int enter(bool tracing, __u64 nr)
{
	__u32 slot = syscall_slot(tracing, nr);
	struct syscount_call *call, now;
	__u64 task;

	if (!wanted(slot))
		return 0;
	task = bpf_get_current_task();
	now.start_ns = bpf_ktime_get_ns();
	now.slot = slot;
	now.pid = cfg.by_process ? current_ids() >> 32 : 0;
	call = bpf_map_lookup_elem(&cb_calls, &task);
	if (call)
		*call = now;
	else if (bpf_map_update_elem(&cb_calls, &task, &now, BPF_NOEXIST))
		count_lost_map();
	return 0;
}

static __always_inline int leave_timed(long ret)
{
	__u64 task = bpf_get_current_task(), start_ns;
	struct syscount_call *call = bpf_map_lookup_elem(&cb_calls, &task);

	/* It began before we did, or is not wanted. */
	if (!call || !call->start_ns)
		return 0;
	start_ns = call->start_ns;
	call->start_ns = 0;
	return count(call->slot, call->pid, ret, time_since(start_ns));
}

static __always_inline int leave(bool tracing, __u64 nr, long ret)
{
	__u32 slot;

	/* What sigreturn restores is no result of its own. */
	if ((__u32)nr == ~0u)
		ret = 0;
	if (cfg.timed)
		return leave_timed(ret);
	slot = syscall_slot(tracing, nr);
	if (!ret && is_fork(slot))
		return 0;
	if (!wanted(slot))
		return 0;
	return count(slot, cfg.by_process ? current_ids() >> 32 : 0, ret, 0);
}

/* exit and exit_group are the calls that do not return: they are counted where the task ends. */
static __always_inline int end(bool tracing)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct pt_regs *regs;
	__u32 slot;

	if (cfg.timed) {
		__u64 key = (__u64)task;
		struct syscount_call *call = bpf_map_lookup_elem(&cb_calls, &key);

		if (!call)
			return 0;
		if (call->start_ns && is_exit(call->slot))
			count(call->slot, call->pid, 0, 0);
		bpf_map_delete_elem(&cb_calls, &key);
		return 0;
	}
	if (HAS_HELPER(task_pt_regs)) {
		regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	} else {
		/* Before 5.15, and so before what FRED keeps above them (6.9). */
		regs = (struct pt_regs *)(BPF_CORE_READ(task, stack) + (16 << 10)) - 1;
	}
	slot = syscall_slot(false, BPF_CORE_READ(regs, CALL_NR_FIELD));
	if (is_exit(slot) && wanted(slot))
		count(slot, cfg.by_process ? current_ids() >> 32 : 0, 0, 0);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(btf_enter, struct pt_regs *regs, long id) { return enter(true, id); }
SEC("tp_btf/sys_exit")
int BPF_PROG(btf_exit, struct pt_regs *regs, long ret)
{
	return leave(true, regs->CALL_NR_FIELD, ret);
}

static __always_inline bool is_own_call(void)
{
	if (HAS_HELPER(get_current_task_btf))
		return (__u32)bpf_get_current_task_btf()->tgid == cb_filter.self;
	return bpf_get_current_pid_tgid() >> 32 == cb_filter.self;
}

/* The same where every call of every task is counted, by system call: without the loads of the
 * configuration and what they rule out. */
SEC("tp_btf/sys_exit")
int BPF_PROG(plain_exit, struct pt_regs *regs, long ret)
{
	__u64 nr = regs->CALL_NR_FIELD;
	__u32 slot = syscall_slot(true, nr);
	struct syscount_sums *sums;

	if ((__u32)nr == ~0u)
		ret = 0;
	if ((!ret && is_fork(slot)) || is_own_call())
		return 0;
	sums = syscall_sums(slot);
	if (!sums)
		return 0;
	__sync_fetch_and_add(&sums->count, 1);
	if (is_failure(ret))
		__sync_fetch_and_add(&sums->failed, 1);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(btf_end) { return end(true); }

SEC("raw_tp/sys_enter")
int BPF_PROG(raw_enter, struct pt_regs *regs, long id) { return enter(false, id); }
SEC("raw_tp/sys_exit")
int BPF_PROG(raw_exit, struct pt_regs *regs, long ret)
{
	return leave(false, BPF_CORE_READ(regs, CALL_NR_FIELD), ret);
}
SEC("raw_tp/sched_process_exit")
int BPF_PROG(raw_end) { return end(false); }
