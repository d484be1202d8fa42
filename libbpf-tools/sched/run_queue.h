/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* Since when a thread waits, in one word, written and read whole: its id and the time. The time
 * counts 16 ns and turns over after 19 hours, longer than any thread waits for a CPU. */
#define RUNQ_TID_BITS 22 /* PID_MAX_LIMIT, linux/threads.h */
#define RUNQ_TIME_BITS (64 - RUNQ_TID_BITS)
#define RUNQ_TIME_MASK ((1ull << RUNQ_TIME_BITS) - 1)
#define RUNQ_TIME_SHIFT 4
