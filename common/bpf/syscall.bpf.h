/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Context of syscalls:sys_enter_* and sys_exit_*: the same on every kernel, whatever the formats in
 * tracefs list behind it (7.2 adds strings to the records, not to the context). */
#pragma once
#include "abi/syscall.h"
#include "bpf/core.bpf.h"

#define AT_FDCWD -100
#define O_CREAT_FLAGS 01101 /* what creat(2) means: O_CREAT | O_WRONLY | O_TRUNC */

/* fexit on a system call's own function (SYSCALL) has its registers and its result: one program, no map.
 * The number of the call that fexit's registers are of. */
static __always_inline long syscall_number(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->orig_ax & ~0x40000000UL; /* without __X32_SYSCALL_BIT */
#elif defined(__TARGET_ARCH_arm64)
	return regs->syscallno;
#endif
}

struct syscall_enter {
	__u64 common;
	__s64 nr;
	__u64 args[6];
};

struct syscall_exit {
	__u64 common;
	__s64 nr;
	__s64 ret;
};

/* Arguments of a call, of the system or of a function, from its entry to its return, by thread. What
 * is left there at the end by threads that are gone are returns that were missed
 * (unreturned_calls(), probe/launch.hpp). */
#define SYSCALL_ARGS(args_type)                                                        \
	struct {                                                                       \
		__uint(type, BPF_MAP_TYPE_HASH);                                       \
		__uint(max_entries, 4096);                                             \
		__type(key, __u32);                                                    \
		__type(value, args_type);                                              \
	} cb_args SEC(".maps");                                                        \
	static __always_inline void args_keep(const args_type *args)                   \
	{                                                                              \
		__u32 tid = bpf_get_current_pid_tgid();                                \
                                                                                       \
		call_keep(&cb_args, &tid, args);                                       \
	}                                                                              \
	/* Copies them to *args and forgets them; false: the entry was not wanted. */  \
	static __always_inline bool args_take(args_type *args)                         \
	{                                                                              \
		__u32 tid = bpf_get_current_pid_tgid();                                \
		args_type *kept = bpf_map_lookup_elem(&cb_args, &tid);                 \
                                                                                       \
		if (!kept)                                                             \
			return false;                                                  \
		*args = *kept;                                                         \
		bpf_map_delete_elem(&cb_args, &tid);                                   \
		return true;                                                           \
	}
