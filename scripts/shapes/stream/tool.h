/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

/* Options that the kernel side knows; constant at load time, so unused tests cost nothing. */
struct @name@_config {
	bool no_roots;
};

struct @name@_event {
	struct task_info task;
	char dir[64];
};
