/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../request.h"
#include "abi/hist.h"

struct biolat_config {
	__u64 unit_ns;      /* of the histogram */
	bool queued;        /* from when the request was made, not issued */
	bool per_disk;
	bool per_flags;
	bool by_issuer;     /* only what certain tasks issue: cb_filter says which */
};

struct biolat_key {
	__u32 generation;
	__u32 disk;
	__u32 flags; /* of cmd_flags, REQUEST_FLAGS; below them an enum request_kind */
};
