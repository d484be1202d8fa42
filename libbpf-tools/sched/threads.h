/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

struct thread_slots {
	__u32 mask;  /* slots - 1, a power of two less one */
	bool shared; /* by threads: there are more thread ids than slots */
};
