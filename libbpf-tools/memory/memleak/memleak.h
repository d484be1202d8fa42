/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/account.h"

struct memleak_config {
	__u64 min_size, max_size;
	__u32 sample;    /* one address of so many */
	__u32 page_size;
	__u32 cpus;      /* that are possible: each has its part of per-CPU memory */
	__u32 sums;      /* bytes allocated by stack, whatever becomes of them */
};

/* What allocated. LEAK_MALLOC to LEAK_MREMAP: the last function of the program that was called, so an
 * operator new that calls malloc() is LEAK_NEW. */
enum leak_function {
	LEAK_MALLOC = 1,
	LEAK_NEW, /* and what else takes the size first and may lead to others: valloc() */
	LEAK_CALLOC,
	LEAK_REALLOC,
	LEAK_REALLOCARRAY,
	LEAK_POSIX_MEMALIGN,
	LEAK_ALIGNED,
	LEAK_MMAP,
	LEAK_MREMAP,
	LEAK_KMALLOC,
	LEAK_CACHE,
	LEAK_PAGES,
	LEAK_PERCPU,
	LEAK_FUNCTIONS
};

/* The kernel's addresses are of several kinds, which may have the same numbers. */
enum leak_space { LEAK_OBJECTS, LEAK_PAGE_STRUCTS, LEAK_PERCPU_OFFSETS };

struct leak_key {
	__u64 address;
	__u32 pid;   /* 0: the kernel's */
	__u32 space; /* enum leak_space */
};

/* An allocation that was not freed yet. */
struct leak {
	__u64 size;
	__u64 time_ns;
	__s32 stack;
	__u32 image; /* STACK_IMAGE() */
	__u32 function;
	__u32 unused;
};

/* A process that allocates. */
struct leak_process {
	__u32 pid, image;
};
struct leak_process_name {
	char comm[COMM_LEN];
};

/* One line of cache a CPU. */
struct leak_counts {
	__u64 freed;    /* of what was known */
	__u64 unknown;  /* free() of an address that is not among what is known */
	__u64 unmapped; /* munmap() likewise */
	__u64 missed;   /* an address was allocated again: its free was not seen */
	__u64 last_free; /* address, and whose: an operator delete that calls free() frees once */
	__u64 last_ids;
	__u64 unused[2];
};

#define LEAK_ALLOCATIONS (1 << 19)
#define LEAK_THREADS 16384
#define LEAK_PROCESSES 8192
