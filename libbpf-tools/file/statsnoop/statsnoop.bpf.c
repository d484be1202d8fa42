// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/path.bpf.h"
#include "bpf/syscall.bpf.h"
#include "../file_name.bpf.h"
#include "statsnoop.h"

#define AT_EMPTY_PATH 0x1000

const volatile struct stat_config cfg = {};
/* A slot for each call: its program may interrupt another where the kernel preempts itself. */
EVENT_SCRATCH(struct stat_event, STAT_CALLS)

/* The arguments, whatever the call. */
struct stat_args {
	int dfd; /* where a relative path starts, or the file itself */
	__u32 flags;
	const char *path;
};
SYSCALL_ARGS(struct stat_args)

static __always_inline struct stat_args stat_args(enum stat_call call, const __u64 *a)
{
	switch (call) {
	case CALL_FSTAT:
	case CALL_FSTATFS:
		return (struct stat_args){ .dfd = a[0], .flags = AT_EMPTY_PATH };
	case CALL_FSTATAT:
		return (struct stat_args){ .dfd = a[0], .flags = a[3], .path = (void *)a[1] };
	case CALL_STATX:
		return (struct stat_args){ .dfd = a[0], .flags = a[2], .path = (void *)a[1] };
	default:
		return (struct stat_args){ .dfd = AT_FDCWD, .path = (void *)a[0] };
	}
}

/* Fills the record and returns its size, 0 if there is none. A global function with numbers for
 * arguments: the verifier goes through it once, not once for each call's arguments. */
__noinline int stat_fill(__u32 call, __u64 path, int dfd, __u32 flags, int ret)
{
	struct stat_event *e = event_scratch(call);
	struct path_record *record;
	bool itself;
	__u64 n;

	if (!e)
		return 0;
	task_info_current(&e->task);
	e->ret = ret;
	e->call = call;
	e->file.magic = 0;
	e->file.known = true;
	e->file.deleted = false;
	record = &e->file.path;
	path_record_none(record);
	if (path)
		path_record_fill(record, (void *)path, 0, dfd, false);
	/* With this flag an empty path, since 6.11 none too, means the file of `dfd` itself. */
	itself = (flags & AT_EMPTY_PATH) && (!path || record->path_len == 1);
	if (itself && dfd != AT_FDCWD)
		return offsetof(struct stat_event, file) +
		       file_name_fill(&e->file, path_file(dfd));
	if (itself)
		record->path_len = 0;
	n = record->path_len;
	if (n > PATH_LEN)
		return 0;
	if (itself || (n > 1 && record->data[0] != '/'))
		path_walk_dfd(dfd, record->data + n, &record->dir_len);
	return offsetof(struct stat_event, file.path.data) + n + record->dir_len;
}

static __always_inline int report(void *ctx, enum stat_call call, const struct stat_args *args,
				  int ret)
{
	__u32 size = stat_fill(call, (__u64)args->path, args->dfd, args->flags, ret);
	struct stat_event *e = event_scratch(call);

	if (e && size && size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

/* One program does the work of all calls: that of the others goes on in it. Verified once, and not
 * once for each call, it starts in half the time. The kernel lets a program go on in one that is
 * attached elsewhere if the functions have one type, which system calls have. */
int fstatat_fexit(unsigned long long *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} stat_work SEC(".maps") = { .values = { (void *)&fstatat_fexit } };

static __always_inline enum stat_call stat_call(long number)
{
	switch (number) {
#if defined(__TARGET_ARCH_x86)
	case 4: return CALL_STAT;
	case 5: return CALL_FSTAT;
	case 6: return CALL_LSTAT;
	case 137: return CALL_STATFS;
	case 138: return CALL_FSTATFS;
	case 332: return CALL_STATX;
#else
	case 43: return CALL_STATFS;
	case 44: return CALL_FSTATFS;
	case 80: return CALL_FSTAT;
	case 291: return CALL_STATX;
#endif
	default: return CALL_FSTATAT;
	}
}

SEC("fexit/" SYSCALL "newfstatat")
int BPF_PROG(fstatat_fexit, const struct pt_regs *regs, long ret)
{
	enum stat_call call = stat_call(syscall_number(regs));
	struct stat_args args;
	__u64 a[4];

	if (!filter_current() || !asked_for(!cfg.failed || ret < 0))
		return 0;
	a[0] = PT_REGS_PARM1_CORE_SYSCALL(regs);
	a[1] = PT_REGS_PARM2_CORE_SYSCALL(regs);
	a[2] = PT_REGS_PARM3_CORE_SYSCALL(regs);
	a[3] = PT_REGS_PARM4_CORE_SYSCALL(regs);
	args = stat_args(call, a);
	return report(ctx, call, &args, ret);
}

static __always_inline int enter_tp(struct syscall_enter *ctx, enum stat_call call)
{
	struct stat_args args = stat_args(call, ctx->args);

	if (filter_current())
		args_keep(&args);
	return 0;
}

static __always_inline int leave_tp(struct syscall_exit *ctx, enum stat_call call)
{
	struct stat_args args;

	if (!args_take(&args) || !asked_for(!cfg.failed || ctx->ret < 0))
		return 0;
	return report(ctx, call, &args, ctx->ret);
}

#define STAT_ENTER_LEAVE(name, call, syscall)                                                      \
	SEC("tracepoint/syscalls/sys_enter_" syscall)                                              \
	int name##_enter(struct syscall_enter *ctx) { return enter_tp(ctx, call); }                \
	SEC("tracepoint/syscalls/sys_exit_" syscall)                                               \
	int name##_leave(struct syscall_exit *ctx) { return leave_tp(ctx, call); }

/* The programs of one system call: NAME_fexit, or NAME_enter and NAME_leave. */
#define STAT_CALL(name, call, syscall)                                                             \
	SEC("fexit/" SYSCALL syscall)                                                              \
	int name##_fexit(void *ctx)                                                                \
	{                                                                                          \
		bpf_tail_call(ctx, &stat_work, 0);                                                 \
		count_lost_map();                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	STAT_ENTER_LEAVE(name, call, syscall)

STAT_CALL(stat, CALL_STAT, "newstat")
STAT_CALL(lstat, CALL_LSTAT, "newlstat")
STAT_CALL(fstat, CALL_FSTAT, "newfstat")
STAT_ENTER_LEAVE(fstatat, CALL_FSTATAT, "newfstatat")
STAT_CALL(statx, CALL_STATX, "statx")
STAT_CALL(statfs, CALL_STATFS, "statfs")
STAT_CALL(fstatfs, CALL_FSTATFS, "fstatfs")
