/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define CRITICAL_FRAMES 127

struct critical_config {
	__u64 min_ns;
	bool places; /* the tracepoints tell where */
};

/* What one CPU knows; written by that CPU only, where it cannot be interrupted or preempted. */
struct critical_cpu {
	__u64 begun_ns; /* of the section that goes on, 0: none, or it is not to be shown */
	__u64 ip, parent_ip; /* where it began */
	__u64 idle;
	__u64 unused[4]; /* to a line of cache */
};

struct critical_event {
	__u64 time_ns, ns;
	__u64 begin_ip, begin_parent_ip, end_ip, end_parent_ip;
	__u32 pid, tid, cpu;
	__s32 stack_bytes; /* of the frames, which are leaf first; negative: an errno */
	char comm[COMM_LEN];
	__u64 stack[CRITICAL_FRAMES];
};
