/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"
#include "../body.h"

struct trace_config {
	__u32 spec;      /* number of the specification that this instance is of */
	__u32 record;    /* bytes of a record with all of its arguments, without stacks; a multiple of 8 */
	__u32 most;      /* bytes of a record with stacks */
};

/* Written by the generated body: its arguments (dynamic/capture.hpp), behind this. */
struct trace_record {
	struct task_info task;
	__u32 spec;
	__u32 point;    /* of those of the instance */
	__u16 cpu;
	__u8 form;      /* enum body_form: which body wrote it */
	__u8 undecided; /* only user space can tell whether the event is wanted */
	__u8 pad[4];
	__u64 missing;  /* bit n: argument n has no value */
};
