/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/syscall_abi.h"
#include "abi/task_event.h"

struct syscount_config {
	__u32 cpus;       /* sets of sums by system call */
	__u32 slot;       /* with by_slot: only this call */
	__s32 error;      /* only calls that failed with this errno; 0: any */
	bool failed;      /* only calls that failed */
	bool by_slot;
	bool by_process;  /* sums by process instead of by system call */
	bool per_syscall; /* with by_process: and by system call */
	bool timed;       /* calls are followed from their entry */
};

struct syscount_sums {
	__u64 count;
	__u64 failed;   /* of them */
	__u64 total_ns; /* if timed */
	__u64 max_ns;   /* if timed, by system call only */
};

#define SYSCOUNT_ANY (~0u)

struct syscount_key {
	__u32 generation;
	__u32 pid;
	__u32 slot; /* SYSCOUNT_ANY unless per_syscall */
};

struct syscount_process {
	struct syscount_sums sums;
	char comm[COMM_LEN]; /* of its first thread */
};

/* What a task is in. */
struct syscount_call {
	__u64 start_ns; /* 0: in nothing */
	__u32 slot;
	__u32 pid;
};

/* For --where. */
struct syscount_event {
	struct task_event task;
	__s64 ret;
};
