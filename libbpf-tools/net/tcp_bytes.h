/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* Bytes of data: acknowledged by the other side, taken from it. */
struct tcp_bytes {
	__u64 sent, received;
};
