/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The names of system calls' own functions: SYSCALL "fsync". */
#pragma once

#if defined(__TARGET_ARCH_arm64) || defined(__aarch64__)
#define SYSCALL "__arm64_sys_"
#else
#define SYSCALL "__x64_sys_"
#endif
