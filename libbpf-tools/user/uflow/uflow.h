/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../runtime.h"
#include "abi/task.h"

struct uflow_config {
	char method[RUNTIME_METHOD]; /* how names begin; empty: any */
	char klass[RUNTIME_CLASS];
	__u32 method_length, klass_length;
};

struct uflow_event {
	struct task_info task;
	__u32 cpu;
	__u32 depth;
	__u32 is_end;
	__u64 duration_ns; /* of the end of a call whose beginning was seen */
	struct runtime_name name; /* sent as far as its class goes */
};
