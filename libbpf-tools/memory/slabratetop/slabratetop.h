/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task_event.h"

#define SLAB_NAME_LEN 32

struct slabratetop_config {
	bool callers;
};

struct slab_key {
	__u32 generation;
	__u32 kmalloc; /* size of the block; 0: an object of a cache */
	__u64 cache;   /* its address */
	__u64 caller;  /* with `callers` */
};

struct slab_value {
	__u64 allocs, bytes;
	char name[SLAB_NAME_LEN];
};

/* For --where. */
struct slab_event {
	struct task_event task;
	__u64 bytes;
	char name[SLAB_NAME_LEN]; /* empty: kmalloc */
};
