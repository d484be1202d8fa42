/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* Threads are told apart by the low bits of their number: more than 65536 at once share places, in
 * which the other bits, of at most 22 (PID_MAX_LIMIT), tell whose the start is. */
#define CALL_THREAD_BITS 16
#define CALL_THREADS (1u << CALL_THREAD_BITS)
#define CALL_TIME_BITS 58 /* of nanoseconds: 9 years since boot */
