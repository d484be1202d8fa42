// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/session.bpf.h"
#include "bpf/syscall.bpf.h"
#include "mountsnoop.h"

/* The beginning of a record, with little text. */
struct mount_few {
	char bytes[__builtin_offsetof(struct mount_event, data) + MOUNT_FEW];
};

/* Calls under way, as far as that: a whole record takes 16 KiB, and a new element is copied whole. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct mount_few);
} cb_args SEC(".maps");

/* Those with more text, once more and whole. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, __u32);
	__type(value, struct mount_event);
} long_args SEC(".maps");

EVENT_SCRATCH(struct mount_event, MOUNT_CALLS)

enum fsconfig_value {
	VALUE_STRING = 1,
	VALUE_BINARY = 2,
	VALUE_PATH = 3,
	VALUE_PATH_EMPTY = 4,
};

/* Adds text number `i` of a call, or `bytes` bytes if that is not 0. A global function: verified once,
 * not at each call. */
__noinline int add_text(__u32 call, __u32 i, __u64 from, __u32 bytes)
{
	struct mount_event *e = event_scratch(call);
	__u32 at;
	long n;

	if (!e || i >= MOUNT_TEXTS || !from)
		return 0;
	at = e->used;
	if (at > (MOUNT_TEXTS - 1) * MOUNT_TEXT_LEN)
		return 0;
	if (bytes) {
		if (bytes >= MOUNT_TEXT_LEN)
			bytes = MOUNT_TEXT_LEN - 1;
		n = bpf_probe_read_user(e->data + at, bytes, (void *)from);
		n = n ? MOUNT_BAD_TEXT : bytes;
	} else {
		n = bpf_probe_read_user_str(e->data + at, MOUNT_TEXT_LEN, (void *)from);
		if (n > 0)
			n--; /* the NUL, which the helper does not count in an empty text */
		else if (n)
			n = MOUNT_BAD_TEXT;
	}
	e->text_len[i] = n;
	if (n > 0)
		e->used = at + n;
	else if (n < 0)
		e->unread = true;
	return 0;
}

/* All that lies in the caller's memory. */
__noinline int add_memory(__u32 call)
{
	struct mount_event *e = event_scratch(call);

	if (!e)
		return 0;
	e->unread = false;
	e->used = 0;
	for (int i = 0; i < MOUNT_TEXTS; i++)
		e->text_len[i] = MOUNT_NO_TEXT;
	switch (call) {
	case CALL_MOUNT:
		add_text(call, 0, e->args[0], 0);
		add_text(call, 1, e->args[1], 0);
		add_text(call, 2, e->args[2], 0);
		add_text(call, 3, e->args[4], 0);
		break;
	case CALL_UMOUNT:
	case CALL_FSOPEN:
		add_text(call, 0, e->args[0], 0);
		break;
	case CALL_FSCONFIG:
		add_text(call, 0, e->args[2], 0);
		if (e->args[1] == VALUE_STRING || e->args[1] == VALUE_PATH ||
		    e->args[1] == VALUE_PATH_EMPTY)
			add_text(call, 1, e->args[3], 0);
		else if (e->args[1] == VALUE_BINARY && (__u32)e->args[4])
			add_text(call, 1, e->args[3], e->args[4]);
		break;
	case CALL_MOVE_MOUNT:
		add_text(call, 0, e->args[1], 0);
		add_text(call, 1, e->args[3], 0);
		break;
	case CALL_PIVOT_ROOT:
		add_text(call, 0, e->args[0], 0);
		add_text(call, 1, e->args[1], 0);
		break;
	case CALL_MOUNT_SETATTR:
	case CALL_OPEN_TREE_ATTR:
		e->has_attr = e->args[3] && e->args[4] >= sizeof(e->attr) &&
			      !bpf_probe_read_user(e->attr, sizeof(e->attr), (void *)e->args[3]);
		if (e->args[3] && e->args[4] >= sizeof(e->attr) && !e->has_attr)
			e->unread = true;
		add_text(call, 0, e->args[1], 0);
		break;
	case CALL_FSPICK:
	case CALL_OPEN_TREE:
		add_text(call, 0, e->args[1], 0);
		break;
	}
	return 0;
}

static __always_inline struct mount_event *begin(enum mount_call call)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task(), *parent;
	__u32 tid = bpf_get_current_pid_tgid();
	struct mount_event *e;

	if (!filter_current()) {
		/* What is there is a call whose return was missed, and not this one. */
		if (!bpf_map_delete_elem(&cb_args, &tid))
			__sync_fetch_and_add(&account()->lost_return, 1);
		return NULL;
	}
	e = event_scratch(call);
	if (!e)
		return NULL;
	task_info_current(&e->task);
	parent = BPF_CORE_READ(task, real_parent);
	e->ppid = task_tgid(parent);
	BPF_CORE_READ_STR_INTO(&e->pcomm, parent, comm);
	e->mntns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	e->call = call;
	e->has_attr = false;
	return e;
}

static __always_inline void keep(struct mount_event *e, enum mount_call call)
{
	__u32 tid = bpf_get_current_pid_tgid();

	add_memory(call);
	call_keep(&cb_args, &tid, e);
	if (e->used > MOUNT_FEW && bpf_map_update_elem(&long_args, &tid, e, BPF_ANY))
		count_lost_map();
}

static __always_inline bool enter_regs(enum mount_call call, const struct pt_regs *regs)
{
	struct mount_event *e = begin(call);

	if (!e)
		return false;
	e->args[0] = PT_REGS_PARM1_CORE_SYSCALL(regs);
	e->args[1] = PT_REGS_PARM2_CORE_SYSCALL(regs);
	e->args[2] = PT_REGS_PARM3_CORE_SYSCALL(regs);
	e->args[3] = PT_REGS_PARM4_CORE_SYSCALL(regs);
	e->args[4] = PT_REGS_PARM5_CORE_SYSCALL(regs);
	keep(e, call);
	return true;
}

/* `n`: as many arguments as the call has; a program that reads more cannot be attached. */
static __always_inline int enter_tp(enum mount_call call, struct syscall_enter *ctx, int n)
{
	struct mount_event *e = begin(call);

	if (!e)
		return 0;
	for (int i = 0; i < n; i++)
		e->args[i] = ctx->args[i];
	keep(e, call);
	return 0;
}

static __always_inline void finish(void *ctx, struct mount_event *e, long ret, __u64 room)
{
	__u64 size;

	e->duration_ns = time_since(e->task.time_ns);
	e->ret = ret;
	size = offsetof(struct mount_event, data) + *(volatile __u16 *)&e->used;
	if (size <= room)
		event_output(ctx, e, size);
}

static __always_inline int leave(void *ctx, enum mount_call call, long ret)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct mount_event *e = bpf_map_lookup_elem(&cb_args, &tid), *again;

	if (!e)
		return 0;
	if (e->unread) {
		/* Memory that was not resident is, now that the kernel has read it. */
		again = event_scratch(call);
		if (again) {
			bpf_probe_read_kernel(again, offsetof(struct mount_event, data), e);
			add_memory(call);
			finish(ctx, again, ret, sizeof(*again));
		}
	} else if (e->used <= MOUNT_FEW) {
		finish(ctx, e, ret, sizeof(struct mount_few));
	} else {
		again = bpf_map_lookup_elem(&long_args, &tid);
		if (again)
			finish(ctx, again, ret, sizeof(*again));
	}
	if (e->used > MOUNT_FEW)
		bpf_map_delete_elem(&long_args, &tid);
	bpf_map_delete_elem(&cb_args, &tid);
	return 0;
}

/* All calls by one attachment, in the order of enum mount_call: two for each call take ten times as
 * long as all the rest of the start. */
SEC("kprobe.session/" SYSCALL "mount," SYSCALL "umount," SYSCALL "fsopen," SYSCALL "fsconfig," SYSCALL
    "fsmount," SYSCALL "move_mount," SYSCALL "fspick," SYSCALL "open_tree," SYSCALL "mount_setattr," SYSCALL
    "open_tree_attr," SYSCALL "pivot_root")
int calls_session(struct pt_regs *ctx)
{
	enum mount_call call = bpf_get_attach_cookie(ctx);

	if (session_is_return(ctx))
		return leave(ctx, call, PT_REGS_RC(ctx));
	return !enter_regs(call, (const struct pt_regs *)PT_REGS_PARM1(ctx));
}

/* The programs of one system call: NAME_fentry and NAME_fexit, or NAME_enter and NAME_leave. */
#define MOUNT_CALL(name, call, syscall, n)                                                         \
	SEC("fentry/" SYSCALL syscall)                                                             \
	int BPF_PROG(name##_fentry, const struct pt_regs *regs)                                    \
	{                                                                                          \
		enter_regs(call, regs);                                                            \
		return 0;                                                                          \
	}                                                                                          \
	SEC("fexit/" SYSCALL syscall)                                                              \
	int BPF_PROG(name##_fexit, const struct pt_regs *regs, long ret)                           \
	{                                                                                          \
		return leave(ctx, call, ret);                                                      \
	}                                                                                          \
	SEC("tracepoint/syscalls/sys_enter_" syscall)                                              \
	int name##_enter(struct syscall_enter *ctx) { return enter_tp(call, ctx, n); }             \
	SEC("tracepoint/syscalls/sys_exit_" syscall)                                               \
	int name##_leave(struct syscall_exit *ctx) { return leave(ctx, call, ctx->ret); }

MOUNT_CALL(mount, CALL_MOUNT, "mount", 5)
MOUNT_CALL(umount, CALL_UMOUNT, "umount", 2)
MOUNT_CALL(fsopen, CALL_FSOPEN, "fsopen", 2)
MOUNT_CALL(fsconf, CALL_FSCONFIG, "fsconfig", 5)
MOUNT_CALL(fsmount, CALL_FSMOUNT, "fsmount", 3)
MOUNT_CALL(move, CALL_MOVE_MOUNT, "move_mount", 5)
MOUNT_CALL(fspick, CALL_FSPICK, "fspick", 3)
MOUNT_CALL(tree, CALL_OPEN_TREE, "open_tree", 3)
MOUNT_CALL(setattr, CALL_MOUNT_SETATTR, "mount_setattr", 5)
MOUNT_CALL(treeatt, CALL_OPEN_TREE_ATTR, "open_tree_attr", 5)
MOUNT_CALL(pivot, CALL_PIVOT_ROOT, "pivot_root", 2)
