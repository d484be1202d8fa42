/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"

struct ucma_event {
	__u64 time_ns;
	struct conn conn; /* family 0: not of IP */
	__u32 event;      /* enum rdma_cm_event_type */
	__s32 status;     /* 0, a negative errno, or a reason of the transport */
};
