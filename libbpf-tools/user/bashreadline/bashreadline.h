/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

/* Bytes of a line with the final 0: most fit on the stack of a program; longer ones are read into a
 * record of the ring. */
#define LINE_LEN 256
#define LINE_LONG_LEN 4096
#define LINE_LONGEST_LEN 65536
#define LINE_TTY_LEN 16

struct line_head {
	struct task_info task;
	__u32 len; /* of the line, with the final 0 */
	__u8 cut;  /* there is more of it */
	char tty[LINE_TTY_LEN]; /* as the kernel names it: "pts0", "ttyS0" */
};

struct line_event {
	struct line_head head;
	char line[LINE_LEN];
};

/* The same with room for more. */
struct line_long_event {
	struct line_head head;
	char line[LINE_LONG_LEN];
};

struct line_longest_event {
	struct line_head head;
	char line[LINE_LONGEST_LEN];
};
