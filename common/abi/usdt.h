/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An argument of a USDT probe, as user space has parsed it from the note (probe/usdt_operand.hpp) and
 * as bpf/usdt.bpf.h reads it. */
#pragma once
#include "abi/types.h"

enum usdt_kind {
	USDT_NONE,     /* cannot be read */
	USDT_CONSTANT, /* `offset` */
	USDT_REGISTER, /* `base` */
	USDT_MEMORY,   /* at base + index * scale + offset; without an index the scale is 0 */
	USDT_RELATIVE, /* in memory, `offset` bytes from the probe's own instruction */
};

#define USDT_NO_BASE 0xffff /* "(,%rax,8)" */

struct usdt_operand {
	__s64 offset;
	__u16 base, index; /* registers: where struct pt_regs has them, in bytes */
	__u8 kind;
	__u8 scale;        /* 0, 1, 2, 4 or 8 */
	__u8 size;         /* of the value: 1, 2, 4 or 8 bytes */
	__u8 shift : 7;    /* of a register, in bits: 8 for %ah */
	__u8 is_signed : 1;
};

#define USDT_ARGUMENTS 12 /* as sys/sdt.h has them */
#define USDT_SITES 256    /* places whose operands differ */

struct usdt_site {
	struct usdt_operand arguments[USDT_ARGUMENTS];
};
