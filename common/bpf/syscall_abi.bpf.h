/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Of which ABI a system call is, and its number. */
#pragma once
#include "abi/syscall_abi.h"
#include "bpf/core.bpf.h"

#define X32_BIT 0x40000000u /* __X32_SYSCALL_BIT */

#if defined(__TARGET_ARCH_x86)
enum { NR_SIGRETURN = 15, SIGRETURN_32 = 173 };
#elif defined(__TARGET_ARCH_arm64)
enum { NR_SIGRETURN = 139, SIGRETURN_32 = 173 /* rt_sigreturn */ };
#endif

/* Fields of the running task and its registers: plain loads in a tracing program where it gets the
 * task as such (5.11+). */
#define LOAD(direct, base, field) ((direct) ? (base)->field : BPF_CORE_READ(base, field))

/* What tells a task, or its call, of the 32-bit ABI (arch/.../include/asm/thread_info.h). */
#if defined(__TARGET_ARCH_x86)
#define IS_32BIT(tracing, task) (LOAD(tracing, task, thread_info.status) & 2) /* TS_COMPAT */
#elif defined(__TARGET_ARCH_arm64)
#define IS_32BIT(tracing, task) (LOAD(tracing, task, thread_info.flags) >> 22 & 1) /* TIF_32BIT */
#endif

/* Of struct pt_regs. */
#if defined(__TARGET_ARCH_x86)
#define CALL_NR_FIELD orig_ax
#elif defined(__TARGET_ARCH_arm64)
#define CALL_NR_FIELD syscallno
#endif

static __always_inline struct task_struct *running(bool tracing)
{
	return tracing && HAS_HELPER(get_current_task_btf) ? bpf_get_current_task_btf() :
				     (struct task_struct *)bpf_get_current_task();
}

/* A call's place among those of all ABIs; `nr` as in the registers. */
static __always_inline __u32 syscall_slot(bool tracing, __u64 nr)
{
	__u32 abi = SYSCALL_NATIVE, n = nr;
	struct task_struct *task = running(tracing);

	if (IS_32BIT(tracing && HAS_HELPER(get_current_task_btf), task))
		abi = SYSCALL_32BIT;
#if defined(__TARGET_ARCH_x86)
	else if (n & X32_BIT && n != ~0u) {
		abi = SYSCALL_X32;
		n &= ~X32_BIT;
	}
#endif
	/* sigreturn restores the registers of what the signal has interrupted, but for this one. */
	if (n == ~0u)
		n = abi == SYSCALL_32BIT ? SIGRETURN_32 : NR_SIGRETURN;
	return n < SYSCALLS_PER_ABI ? SYSCALL_SLOT(abi, n) : SYSCALL_SLOT_OTHER;
}
