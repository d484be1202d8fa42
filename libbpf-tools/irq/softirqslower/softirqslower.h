/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define SOFTIRQ_SLOTS 16 /* a power of two, more than there are vectors */

struct softirq_config {
	__u64 min_ns;
	__u64 pidns, pidns_device; /* the inode of our PID namespace, 0: it is the host's */
	__u32 cpu; /* with by_cpu: only this one */
	bool by_cpu;
};

/* struct bpf_pidns_info (linux/bpf.h). */
struct softirq_ids {
	__u32 pid, tgid;
};

/* What one CPU knows; written by that CPU only. */
struct softirq_cpu {
	__u64 raised_ns[SOFTIRQ_SLOTS]; /* since when it is to run, 0: it is not, or that is not known */
	__u64 begun_ns;                 /* of the handler that runs */
	__u32 raises[SOFTIRQ_SLOTS];    /* so far: an entry sees whether one came between */
	__u64 unused[7];                /* to whole lines of cache */
};

enum softirq_stage {
	SOFTIRQ_WAIT, /* raised to begin */
	SOFTIRQ_RUN,  /* begin to end */
};

struct softirq_event {
	__u64 time_ns, lat_ns;
	__u32 pid, tid, cpu;
	__u16 vector, stage;
	char comm[COMM_LEN];
};
