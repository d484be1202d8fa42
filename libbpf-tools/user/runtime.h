/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a probe of a language's runtime says, and in which of its arguments. */
#pragma once
#include "abi/types.h"

enum runtime_form {
	RUNTIME_USDT, /* arguments of a USDT probe */
	RUNTIME_TCL,  /* TclNRInterpProcCore(interp, name, ...) */
	RUNTIME_PERL, /* pp_entersub(interpreter), pp_leavesub(interpreter) */
};

#define RUNTIME_NO_ARGUMENT 0xff

/* Numbers of arguments, from 0. A text without a length ends with a NUL. */
struct runtime_arguments {
	__u8 form;
	__u8 klass, klass_length;
	__u8 method, method_length;
	__u8 value; /* a number: a size, a generation */
};

#define RUNTIME_CLASS  128
#define RUNTIME_METHOD 64

/* Zeros behind each text, so that it can be a key. A length that is larger than the room: the text is
 * cut. */
struct runtime_name {
	__u16 klass_length, method_length;
	__u32 unused;
	char method[RUNTIME_METHOD];
	char klass[RUNTIME_CLASS];
};

/* How deep in calls a thread is that we follow. */
struct runtime_thread {
	__u64 began; /* which thread and program: numbers are used again */
	__u32 depth;
	__u32 unused;
};

struct runtime_frame_key {
	__u32 tid, depth;
};

/* A call under way. */
struct runtime_frame {
	__u64 start_ns;
	__u64 id;   /* of the method */
	__u64 base; /* of perl: which stack of contexts, and how many there were */
	__s64 mark;
};
