/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../file_name.h"
#include "abi/task.h"

enum sync_call {
	CALL_SYNC, /* this and those up to CALL_SYNCFS: in the order of the session */
	CALL_MSYNC,
	CALL_SYNC_FILE_RANGE,
	CALL_SYNCFS,
	CALL_FSYNC,
	CALL_FDATASYNC,
	SYNC_CALLS,
};

/* A call from its entry on. */
struct sync_args {
	__u64 start_ns;
	__u64 a[4];
};

struct sync_event {
	struct task_info task; /* time_ns: of the entry */
	__u64 duration_ns;
	__u64 a[4]; /* as the call has them; of sync none */
	__s32 ret;
	__u32 call;
	struct file_name file;
};
