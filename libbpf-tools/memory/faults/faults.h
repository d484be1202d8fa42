/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task_event.h"

#define FAULTS_NAME_LEN 128 /* longer names are cut */

struct faults_config {
	bool stacks; /* by stack, ... */
	bool files;  /* or by file, else by process */
	bool major;  /* only those that wait for a device */
};

enum fault_memory {
	FAULT_ANONYMOUS,
	FAULT_FILE,
	FAULT_UNKNOWN, /* the mapping may be gone by the end of the fault */
};

struct fault_key {
	__u32 generation;
	__u32 pid;
	char comm[COMM_LEN];
	/* With `files`. */
	__u64 inode;
	__u32 dev; /* as the kernel writes it: major << 20 | minor */
	__u32 memory;
};

struct fault_value {
	__u64 faults, major;
	char file[FAULTS_NAME_LEN];
};

/* For --where. */
struct fault_event {
	struct task_event task;
	__u64 address;
	__u32 major;
	__u32 unused;
	char file[FAULTS_NAME_LEN];
};
