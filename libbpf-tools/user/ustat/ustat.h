/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task_event.h"
#include "abi/types.h"

enum ustat_count {
	USTAT_METHOD,
	USTAT_GC,
	USTAT_OBJECT,
	USTAT_CLASS,
	USTAT_EXCEPTION,
	USTAT_THREAD,
	USTAT_COUNTS,
};

struct ustat_key {
	__u32 generation;
	__u32 pid;
};

struct ustat_value {
	__u64 counts[USTAT_COUNTS];
	char comm[COMM_LEN]; /* of the process */
};
