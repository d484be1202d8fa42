/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* In place of a thread id: all threads outside our PID namespace. */
#define SWITCH_OUTSIDE 0xffffffffu

struct switch_key {
	__u32 generation;
	__u32 prev, next; /* thread ids */
};

struct switch_stat {
	__u64 switches;
	__u32 prev_pid, next_pid;
	char prev_comm[COMM_LEN], next_comm[COMM_LEN];
};

/* For --where. */
struct switch_event {
	__u32 prev_pid, prev_tid, next_pid, next_tid;
	__u32 cpu;
	__u32 unused;
	char prev_comm[COMM_LEN], next_comm[COMM_LEN];
} __attribute__((aligned(8)));
