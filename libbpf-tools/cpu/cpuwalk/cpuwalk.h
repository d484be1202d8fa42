/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task_event.h"

struct cpuwalk_config {
	__u32 step; /* CPUs in a row of the histogram */
};
