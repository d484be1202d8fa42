/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What Tcl is about to run: TclNRInterpProcCore(interp, name, ...), whose frame is pushed already. Offsets
 * are those of 8.6 on 64 bits (tclInt.h); of 9.0 the name is where 8.6 has it, the level is not. */
#pragma once
#include "runtime.bpf.h"

enum { TCL_OBJECT_BYTES = 8, TCL_INTERP_FRAME = 160, TCL_FRAME_IS_PROC = 8, TCL_FRAME_LEVEL = 40 };

#define TCL_MOST_LEVEL 100000

static __always_inline void tcl_read_name(__u64 object, struct runtime_name *name)
{
	__u64 bytes = 0;

	bpf_probe_read_user(&bytes, sizeof(bytes), (void *)(object + TCL_OBJECT_BYTES));
	if (bytes)
		name->method_length = runtime_text(name->method, RUNTIME_METHOD, bytes, false, 0);
}

/* How many procedures are under way below this one. */
static __always_inline __u32 tcl_depth(__u64 interp)
{
	__u64 frame = 0;
	__s32 level = 0;

	bpf_probe_read_user(&frame, sizeof(frame), (void *)(interp + TCL_INTERP_FRAME));
	if (!frame || bpf_probe_read_user(&level, sizeof(level), (void *)(frame + TCL_FRAME_LEVEL)))
		return 0;
	return level > 0 && level < TCL_MOST_LEVEL ? level - 1 : 0;
}
