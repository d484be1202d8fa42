/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"
#include "../file_name.h"

enum sofd_action { SOFD_SEND, SOFD_RECV };

struct sofd_event {
	struct task_info task;
	__u64 socket_inode; /* 0: not known */
	__s32 socket_fd;    /* -1: not known, or it has none */
	__s32 fd;           /* -1: none was made */
	__s32 ret;          /* 0 or a negative errno */
	__u32 action;
	struct file_name name;
};
