/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/path.h"
#include "abi/task.h"

enum gone_action {
	GONE_DELETE,
	GONE_RENAME,
	GONE_REPLACE,  /* a rename, and what had the new name is gone */
	GONE_EXCHANGE,
	GONE_ACTIONS,
};

struct gone_config {
	bool layers; /* what overlayfs does in its layers too */
};

struct gone_event {
	struct task_info task;
	__u8 action;
	bool directory;
	__u16 old_len, new_len; /* of the names in `data`, from the deepest up; new_len 0: deleted */
	char data[2 * PATH_WALK_LEN];
};
