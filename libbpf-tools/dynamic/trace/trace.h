/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

#define TRACE_SLOTS 4 /* records that a CPU can be making at once */

struct trace_config {
	__u32 spec;      /* number of the specification that this instance is of */
	__u32 record;    /* bytes of a record with all of its arguments, without stacks; a multiple of 8 */
	__u32 most;      /* bytes of a record with stacks */
};

/* Written by the generated body: its arguments (dynamic/capture.hpp), behind this. */
struct trace_record {
	struct task_info task;
	__u32 spec;
	__u32 point;   /* of those of the instance */
	__u16 cpu;
	__u8 form;     /* enum trace_form */
	__u8 pad[5];
	__u64 missing; /* bit n: argument n has no value */
};

/* Which of the two bodies wrote it. */
enum trace_form {
	TRACE_TYPED, /* of programs whose arguments the verifier knows: fentry, fexit, tp_btf */
	TRACE_PLAIN, /* of registers, words, or a tracepoint's record */
};

/* A record that is being made. */
struct trace_slot {
	__u64 users; /* runs that have it or look at it */
	struct trace_record record;
};
