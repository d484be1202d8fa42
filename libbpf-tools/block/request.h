/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A block request, on both sides. */
#pragma once
#include "abi/types.h"

/* Our own numbers: the kernel's differ from version to version. */
enum request_kind {
	REQUEST_READ, /* the first four are the kernel's */
	REQUEST_WRITE,
	REQUEST_FLUSH,
	REQUEST_DISCARD,
	REQUEST_SECURE_ERASE,
	REQUEST_WRITE_SAME,
	REQUEST_WRITE_ZEROES,
	REQUEST_ZONE_OPEN,
	REQUEST_ZONE_CLOSE,
	REQUEST_ZONE_FINISH,
	REQUEST_ZONE_APPEND,
	REQUEST_ZONE_RESET,
	REQUEST_ZONE_RESET_ALL,
	REQUEST_SCSI_IN,
	REQUEST_SCSI_OUT,
	REQUEST_DRV_IN,
	REQUEST_DRV_OUT,
	REQUEST_UNKNOWN,
	REQUEST_KINDS
};

/* REQ_SYNC to REQ_NOWAIT: the same bits of cmd_flags on 5.10 to 7.2 (enum req_flag_bits). */
#define REQUEST_FLAGS_SHIFT 11
#define REQUEST_FLAGS 0x3ff800
#define REQUEST_SYNC (1u << 11)
#define REQUEST_META (1u << 12)
#define REQUEST_PRIO (1u << 13)
#define REQUEST_FUA (1u << 17)
#define REQUEST_PREFLUSH (1u << 18)
#define REQUEST_AHEAD (1u << 19)
#define REQUEST_BACKGROUND (1u << 20)

struct request_config {
	bool by_bio;   /* made_bio and made_front tell of new requests */
	bool filtered; /* the task filter restricts whose */
};
