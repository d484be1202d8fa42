/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Of which ABI a system call is, and its number. */
#pragma once
#include "bpf/core.bpf.h"

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
