/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

enum mount_call {
	CALL_MOUNT,
	CALL_UMOUNT,
	CALL_FSOPEN,
	CALL_FSCONFIG,
	CALL_FSMOUNT,
	CALL_MOVE_MOUNT,
	CALL_FSPICK,
	CALL_OPEN_TREE,
	CALL_MOUNT_SETATTR,
	CALL_OPEN_TREE_ATTR,
	CALL_PIVOT_ROOT,
	MOUNT_CALLS,
};

#define MOUNT_ARGS 5
#define MOUNT_TEXTS 4       /* arguments that are texts, at most */
#define MOUNT_TEXT_LEN 4096 /* PATH_MAX, and the page that mount(2) copies of its data */
#define MOUNT_FEW 512	    /* bytes that the texts of nearly all calls take together */

/* Of a text's length: there is none, and its memory could not be read. */
#define MOUNT_NO_TEXT (-1)
#define MOUNT_BAD_TEXT (-14)

struct mount_event {
	struct task_info task; /* time_ns: of the entry */
	__u64 duration_ns;
	__u64 args[MOUNT_ARGS];
	__u64 attr[4]; /* struct mount_attr: set, cleared, propagation, descriptor of a user namespace */
	__s32 ret;
	__u32 call;
	__u32 mntns;
	__u32 ppid;
	char pcomm[COMM_LEN];
	bool has_attr;
	bool unread; /* some memory could not be read at the entry */
	__u16 used;  /* of data */
	__s16 text_len[MOUNT_TEXTS]; /* in the order of the arguments, without a NUL */
	char data[MOUNT_TEXTS * MOUNT_TEXT_LEN];
};
