/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/task.h"

#define LISTEN_UNIX 1   /* AF_UNIX */
#define LISTEN_VSOCK 40 /* AF_VSOCK */
#define UNIX_PATH_MAX 108

struct listen_event {
	struct task_info task;
	struct conn conn; /* where it listens; of any family, with 0 where that has no such thing */
	__s32 ret;        /* 0, -errno */
	__s32 backlog;    /* as asked for */
	__u32 limit;      /* what the kernel made of it */
	__u32 cid, port;  /* of LISTEN_VSOCK */
	__u16 type;       /* SOCK_* */
	__u16 path_len;   /* of LISTEN_UNIX; 0: it has no name */
	__u8 has_conn;    /* the socket could be read after the call */
	char path[UNIX_PATH_MAX]; /* sent for LISTEN_UNIX only; begins with NUL if it is abstract */
};
