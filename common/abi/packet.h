/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a packet expression sees of a packet. */
#pragma once
#include "abi/types.h"

struct packet_view {
	__u64 start;  /* address of its network header */
	__u32 linear; /* bytes in one piece from there on */
	__u32 bytes;  /* of the whole packet from there on */
};
