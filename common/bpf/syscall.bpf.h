/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Context of syscalls:sys_enter_* and sys_exit_*: the same on every kernel, whatever the formats in
 * tracefs list behind it (7.2 adds strings to the records, not to the context). */
#pragma once
#include "bpf/core.bpf.h"

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
