/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/task.h"

struct pktlat_config {
	__u64 min_ns; /* waits of at least this are shown */
};

struct pktlat_event {
	struct task_info task; /* the reader; pid 0: the kernel itself */
	__u32 segments;        /* that are now read to their end */
	__u64 wait_ns;
	struct conn conn;
};
