/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* What --where may ask of a sample. */
struct runqlen_event {
	__u32 length, cpu;
};

/* Of no use to the kernel side. */
struct runqlen_key {
	__u32 cpu;
};
