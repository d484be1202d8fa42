/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* What has a histogram of its own; nothing: one for all. */
struct by_task {
	__u64 unit_ns; /* of the slots */
	bool pids, tids, pid_namespaces, cgroups;
};

struct by_task_key {
	__u32 generation;
	__u32 cpu; /* without `tids`: so that no two CPUs count under one key */
	__u32 pid, tid;
	__u64 cgroup;
	__u32 pid_namespace;
	__u32 unused;
	char comm[COMM_LEN]; /* of the thread with `tids`, of the process with `pids` only */
};
