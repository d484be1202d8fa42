/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/hist.h"

/* Our own numbers: the kernel's differ from version to version. */
enum biolat_op {
	BIOLAT_READ, /* the first four are the kernel's */
	BIOLAT_WRITE,
	BIOLAT_FLUSH,
	BIOLAT_DISCARD,
	BIOLAT_SECURE_ERASE,
	BIOLAT_WRITE_SAME,
	BIOLAT_WRITE_ZEROES,
	BIOLAT_ZONE_OPEN,
	BIOLAT_ZONE_CLOSE,
	BIOLAT_ZONE_FINISH,
	BIOLAT_ZONE_APPEND,
	BIOLAT_ZONE_RESET,
	BIOLAT_ZONE_RESET_ALL,
	BIOLAT_SCSI_IN,
	BIOLAT_SCSI_OUT,
	BIOLAT_DRV_IN,
	BIOLAT_DRV_OUT,
	BIOLAT_UNKNOWN,
	BIOLAT_OPS
};

/* REQ_SYNC to REQ_NOWAIT: the same bits of cmd_flags on 5.10 to 7.2 (enum req_flag_bits). */
#define BIOLAT_FLAGS_SHIFT 11
#define BIOLAT_FLAGS 0x3ff800

struct biolat_config {
	__u64 unit_ns;      /* of the histogram */
	__u64 first_sector; /* with sectors: only this part of the disk */
	__u64 sectors;
	__u32 disk;         /* only this one, 0: all */
	bool queued;        /* from when the request was made, not issued */
	bool per_disk;
	bool per_flags;
	bool by_issuer;     /* only what certain tasks issue: cb_filter says which */
};

struct biolat_key {
	__u32 generation;
	__u32 disk;
	__u32 flags; /* of cmd_flags, BIOLAT_FLAGS; below them an enum biolat_op */
};
