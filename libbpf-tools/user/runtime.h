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

/* Zeros behind the text, so that it can be a key. A length that is larger than the room: the text is cut. */
struct runtime_name {
	__u16 klass_length, method_length;
	char klass[RUNTIME_CLASS];
	char method[RUNTIME_METHOD];
};
