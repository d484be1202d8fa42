/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../runtime.h"
#include "abi/task_event.h"

enum uobjnew_kind {
	OBJECT_CLASS, /* of a class */
	OBJECT_STRING,
	OBJECT_ARRAY,
	OBJECT_HASH,
	OBJECT_BLOCK, /* of memory, of a size */
};

struct uobjnew_key {
	__u32 generation;
	__u32 kind;
	__u64 size; /* of a block */
	struct runtime_name name;
};

struct uobjnew_sums {
	__u64 count;
	__u64 sized; /* of these, those whose bytes the runtime says */
	__u64 bytes;
};
