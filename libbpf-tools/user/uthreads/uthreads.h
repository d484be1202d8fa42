/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../runtime.h"
#include "abi/stacks.h"
#include "abi/task.h"

enum uthreads_kind {
	UTHREAD_PTHREAD,
	UTHREAD_START,
	UTHREAD_STOP,
};

struct uthreads_event {
	struct task_info task; /* of a pthread the creator, else the thread itself */
	__u64 start;           /* of a pthread: what it runs */
	__u64 vm_id;           /* the runtime's number of the thread */
	__u32 id;              /* the kernel's */
	__u32 kind;
	__u32 image;           /* STACK_IMAGE() for `start` */
	__u32 unused;
	struct runtime_name name; /* class: the thread's */
};
