/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A request's operation in our own numbers. 5.10+. */
#pragma once
#include "bpf/block.bpf.h"
#include "request.h"

/* enum request_kind of request.cmd_flags. */
static __always_inline __u32 request_kind(__u32 cmd_flags)
{
	__u32 op = cmd_flags & REQUEST_OP_MASK;

	if (op <= REQUEST_DISCARD)
		return op;
#define OP(name)                             \
	if (REQUEST_OP_IS(op, REQ_OP_##name)) \
		return REQUEST_##name;
	OP(SECURE_ERASE)
	OP(WRITE_ZEROES)
	OP(ZONE_OPEN)
	OP(ZONE_CLOSE)
	OP(ZONE_FINISH)
	OP(ZONE_APPEND)
	OP(ZONE_RESET)
	OP(ZONE_RESET_ALL)
	OP(DRV_IN)
	OP(DRV_OUT)
#undef OP
#define OLD_OP(name)                                                             \
	if (bpf_core_enum_value_exists(enum req_opf, REQ_OP_##name##___old) &&   \
	    op == bpf_core_enum_value(enum req_opf, REQ_OP_##name##___old))      \
		return REQUEST_##name;
	OLD_OP(WRITE_SAME)
	OLD_OP(SCSI_IN)
	OLD_OP(SCSI_OUT)
#undef OLD_OP
	return REQUEST_UNKNOWN;
}
