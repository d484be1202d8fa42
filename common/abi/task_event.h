/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What --where may ask of an event of a task that is counted (bpf/task_event.bpf.h). */
#pragma once
#include "abi/types.h"

struct task_event {
	__u64 ns; /* how long it took, where that is measured */
	__u32 pid, tid;
	__u32 cpu;
	__u32 unused;
	char comm[COMM_LEN];
};
