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
	bool each;    /* a record for each sample instead of counts */
	bool offsets; /* with the time at which each CPU was looked at */
};

#define UNCLAIMED_MOST_CPUS 1024 /* of a record */
#define UNCLAIMED_OFFLINE 0xffffffffu

struct unclaimed_sample {
	__u64 time_ns;
	struct {
		__u32 tasks;     /* that run or wait; UNCLAIMED_OFFLINE */
		__u32 offset_ns; /* after time_ns */
	} cpu[UNCLAIMED_MOST_CPUS]; /* as many as there may be */
};
