/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../by_task.h"

struct cpudist_config {
	bool off_cpu;
	bool include_idle;
};

/* Since when a thread has no CPU. */
struct off_since {
	__u64 ns; /* 0: it has one, or is gone */
	__u64 tid;
};
