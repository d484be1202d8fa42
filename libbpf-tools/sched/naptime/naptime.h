/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

struct nap_event {
	struct task_info task;
	__u32 ppid;
	__s64 ns;         /* the length of the sleep; its end, where it is absolute */
	__u32 absolute;
	__u32 clock;      /* clockid_t */
	char pcomm[COMM_LEN];
};
