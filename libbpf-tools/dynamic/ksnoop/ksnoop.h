/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"
#include "../body.h"
#include "../call.h"

/* Of the function that an instance of the object traces. */
struct ksnoop_config {
	__u32 function;    /* its number, in the order of the command line */
	__u32 last;        /* number of the last function, with `chain` */
	__u32 most;        /* bytes of the largest record of all functions */
	bool chain;        /* only calls by the function before it, down to the last */
	bool held;         /* an entry waits for its return, which has a condition */
	bool shows_entry;
	bool shows_return;
	bool reads_entry;  /* an entry is shown, or has a condition */
};

/* Written by a generated body: its values (dynamic/capture.hpp), behind this. */
struct ksnoop_record {
	struct task_info task;
	__u64 lat_ns;   /* of a return */
	__u32 function;
	__u32 size;     /* with the values */
	__u16 cpu;
	__u8 form;      /* enum body_form: which body wrote it */
	__u8 is_return;
	__u8 undecided; /* unused: the kernel decides all */
	__u8 shown;     /* of an entry that waits: it has been sent */
	__u8 hidden;    /* an entry that is never shown */
	__u8 pad;
	__u64 missing;  /* bit n: value n is missing */
};

struct ksnoop_call {
	__u32 tid;
	__u32 number; /* of the calls under way in the thread */
};
