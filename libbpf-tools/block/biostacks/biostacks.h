/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

#define BIOSTACKS_STORAGE 4096 /* keys */

struct biostacks_key {
	__u32 generation; /* and the part of the histogram (abi/hist.h) */
	__u32 pid;
	__u32 tid;    /* 0 unless threads are told apart */
	__u32 disk;
	__s32 kernel; /* stack id; negative: there is none (STACK_NONE), or it was lost */
	char comm[COMM_LEN];
};
