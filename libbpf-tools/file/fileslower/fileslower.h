/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../slow_file.h"

/* The kernel's functions behind reads and writes. */
enum file_call {
	CALL_READ,
	CALL_WRITE,
	CALL_READV,
	CALL_WRITEV,
	CALL_SPLICE,
	CALL_RANGE,
	CALL_PIPE,
	CALL_URING_READ,
	CALL_URING_WRITE,
	FILE_CALLS
};

struct fileslower_config {
	bool all_files; /* not only regular ones */
};
