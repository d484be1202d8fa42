/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Aggregates that are read while they are filled, without losing a count. */
#pragma once
#include "bpf/core.bpf.h"

/* Which half of the aggregates is being filled: 0 or 1. User space flips it, waits until no program
 * can still use the old value, and then drains that half (shape/generations.hpp). Keys of aggregates
 * begin with it: `__u32 generation`. */
__u32 cb_generation = 0;
