/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

enum id_call {
	CALL_SETUID,
	CALL_SETREUID,
	CALL_SETRESUID,
	CALL_SETFSUID,
	CALL_SETGID,
	CALL_SETREGID,
	CALL_SETRESGID,
	CALL_SETFSGID,
	CALL_SETGROUPS,
	CALL_EXEC, /* of a program whose file changes ids */
};

/* What a record of CALL_EXEC is about, in place of what was requested. */
enum id_exec {
	EXEC_USER,
	EXEC_GROUP,
};

struct id_config {
	bool failed; /* only calls that fail */
};

struct id_set {
	__u32 real, effective, saved, fs;
};

/* What a process may do it by. */
struct identity {
	struct id_set user, group;
	__u32 groups; /* supplementary ones */
};

#define ID_GROUPS 32 /* most that a record tells of setgroups' list */

struct id_event {
	struct task_info task;
	__s32 ret;
	__u32 call;          /* enum id_call */
	__u32 requested[3];  /* arguments; of setgroups the length of its list */
	__u32 n_listed;
	__u32 failed;
	struct identity old, now;
	__u32 listed[ID_GROUPS]; /* of setgroups */
};
