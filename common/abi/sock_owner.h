/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose a socket is. */
#pragma once
#include "abi/types.h"

struct sock_owner {
	__u32 pid, tid, uid; /* pid 0: not known */
	char comm[COMM_LEN];
	__u8 traced; /* the filter lets it pass */
	__u8 unused[3];
};
