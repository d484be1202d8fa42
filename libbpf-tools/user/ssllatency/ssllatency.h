/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../tls.h"
#include "abi/hist.h"
#include "abi/task_event.h"

struct ssllatency_config {
	__u64 unit_ns; /* of the histogram */
	bool failed;   /* calls that failed, or found the end, too */
	bool per_function;
	bool per_process;
};

struct ssllatency_key {
	__u32 generation;
	__u32 operation; /* enum tls_operation */
	__u32 function;  /* with per_function */
	__u32 pid;       /* with per_process */
};

/* For --where. */
struct ssllatency_event {
	struct task_event task;
	__s64 result;
	__u32 operation, function;
};
