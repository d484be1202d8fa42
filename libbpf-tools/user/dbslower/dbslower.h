/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../database.h"
#include "abi/task.h"

/* Three sizes of room for a text, so that few bytes are kept for the many that are short. The last is
 * the most that is shown; a record of a perf buffer has at most 64 KiB. */
#define TEXT_SHORT 512
#define TEXT_MIDDLE 4096
#define TEXT_LONG 61440

/* A process title: names of at most 63 bytes of a cluster, a user and a database, and more. */
#define TITLE_LEN 256

enum text_state {
	TEXT_THERE,
	TEXT_NONE,       /* the command has none */
	TEXT_UNREADABLE,
	TEXT_UNKNOWN,    /* of a statement that was prepared before the tool traced it */
};

enum text_room {
	ROOM_SHORT,
	ROOM_MIDDLE,
	ROOM_LONG,
};

struct database_event {
	struct task_info task; /* time_ns: as it ended */
	__u64 lat_ns;
	__u32 id;         /* MySQL: of the prepared statement */
	__u32 statements; /* PostgreSQL: that ran */
	__u32 text_size;  /* whole; with TEXT_ENDS there is more than the record has */
	__u32 text_len;   /* in this record */
	__u8 server, command, outcome, text_state;
	__u8 room; /* enum text_room */
	__u8 unused[3];
	char title[TITLE_LEN]; /* PostgreSQL: of the process */
	/* and the text */
};
