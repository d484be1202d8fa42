/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Calls under way: call.bpf.h and call.hpp. */
#pragma once
#include "abi/types.h"

#define CALL_DEPTH 64 /* calls under way in a thread that can be followed; a power of two */

struct call_config {
	__u32 level;      /* only so many calls within each other; 0: all */
	__u32 first_user; /* number of the first user function; the kernel's come before */
};

/* A call under way. */
struct call_frame {
	__u64 start_ns;
	__u32 place;    /* low half of the address of its return address on the stack */
	__u32 function; /* its number */
};

/* Those of one thread, the outermost first. */
struct call_thread {
	__u32 used;
	__u32 pad;
	struct call_frame frames[CALL_DEPTH];
};
