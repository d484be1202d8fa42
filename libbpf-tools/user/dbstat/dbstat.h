/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../database.h"

struct dbstat_key {
	__u32 generation;
	__u32 cpu; /* programs must not allocate: see HISTS_BY_CPU() */
	__u32 pid;
	__u8 server, command;
	__u8 unused[2];
};

/* What --where decides. */
struct dbstat_event {
	__u64 lat_ns;
	__u32 pid, tid;
	__u8 server, command, outcome;
	__u8 unused[5];
	char comm[COMM_LEN];
};
