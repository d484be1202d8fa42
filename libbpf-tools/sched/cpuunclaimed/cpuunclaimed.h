/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/counters.h"

enum unclaimed_counter {
	UNCLAIMED_SAMPLES,
	UNCLAIMED_CPUS,    /* looked at, all samples together; so are the others */
	UNCLAIMED_RUNNING, /* CPUs with something to run */
	UNCLAIMED_QUEUED,  /* tasks that waited for a CPU */
	UNCLAIMED_IDLE,    /* idle CPUs while a task waited for another one */
};

struct unclaimed_config {
	__u32 cpus;   /* that there may be */
	__u32 online; /* that there are */
	__u32 leader; /* the one that looks at all */
};
