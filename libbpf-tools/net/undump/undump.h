/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

#define UNDUMP_DATA_LEN 8192 /* bytes of a message that are shown at most */
#define UNDUMP_SEGMENTS 64   /* pieces of memory of a message that are looked at: writev(2) */
#define UNDUMP_PATH_LEN 108  /* sun_path, linux/un.h */

struct undump_config {
	__u32 size; /* bytes of a message that are shown */
};

enum undump_direction {
	UNDUMP_SEND,
	UNDUMP_RECV,
	UNDUMP_PEEK, /* MSG_PEEK: it stays in the socket */
	UNDUMP_DIRECTIONS,
};

struct undump_event {
	struct task_info task;
	__u32 bytes;     /* of the message; of a stream, that the call has moved */
	__u32 data_len;  /* that are shown */
	__u32 peer_pid;  /* 0: not known */
	__u16 type;      /* SOCK_STREAM, ... */
	__u8 direction;
	__u8 unreadable; /* the data lies in no memory of a process: sendfile(2), splice(2) */
	__u8 path_len;   /* an abstract name begins with a 0 */
	char path[UNDUMP_PATH_LEN];
	char data[2 * UNDUMP_DATA_LEN]; /* the second half is there for the verifier */
};
