/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

struct stackcount_config {
	bool by_cpu, per_process;
	__u32 cpu; /* only this one */
};
