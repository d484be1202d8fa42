/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tools have in common that tell who woke a thread. */
#pragma once
#include "abi/stacks.h"

struct waker {
	__u32 pid, tid; /* 0: nobody; tid also where threads are not told apart */
	__u32 image;
	__s32 kernel, user; /* stack ids, as in struct stack_key */
	__u32 unused;
	char comm[COMM_LEN] __attribute__((aligned(8)));
};

/* Sums are by both. */
struct wake_key {
	struct stack_key target;
	struct waker waker;
};
