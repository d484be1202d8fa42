/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/stacks.h"
#include "abi/task.h"

struct thread_config {
	bool processes; /* new processes too */
};

enum task_kind {
	KIND_THREAD,
	KIND_IO_WORKER, /* the kernel's, in a process that uses io_uring */
	KIND_PROCESS,
	KIND_VFORK,     /* whose parent waits for its exec or exit */
	KIND_KERNEL,
};

struct thread_event {
	struct task_info task; /* the one that creates */
	__u32 child_pid, child_tid;
	__u32 kind;
	__u32 image; /* STACK_IMAGE() of the one that creates, where there is a start */
	__u64 clone_flags;
	__u64 start; /* what pthread_create() was told to run; 0: not known */
};
