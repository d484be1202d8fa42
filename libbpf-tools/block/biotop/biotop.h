/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../request.h"

struct biotop_key {
	__u32 generation;
	__u32 pid;  /* 0: not known */
	__u32 disk; /* major << 20 | minor */
	__u32 kind; /* enum request_kind */
};

struct biotop_sums {
	__u64 ios, bytes;
	__u64 ns; /* from issue to completion */
	char comm[COMM_LEN];
};
