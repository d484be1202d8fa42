/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Objects whose particular part is generated when the tool starts: body.bpf.h. */
#pragma once
#include "abi/types.h"

/* Which of the two bodies runs in a program. */
enum body_form {
	BODY_TYPED, /* the verifier knows the types of the arguments: fentry, fexit, tp_btf */
	BODY_PLAIN, /* they are registers, words, or a tracepoint's record */
};

#define BODY_SLOTS 4 /* records that a CPU can be making at once */

/* A record that is being made is behind this. */
struct body_slot {
	__u64 users; /* runs that have it or look at it */
};
