// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bashreadline.h"

static __always_inline void read_tty(char *name)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);

	if (tty)
		bpf_probe_read_kernel_str(name, LINE_TTY_LEN, BPF_CORE_READ(tty, name));
}

/* Reads the line once more, into a record of `type` of the ring, and sends it if that has room for all
 * of it, or `always`. Whether it was sent. */
#define SEND_LONG(type, e, text, always)							\
	({											\
		struct type *record = event_reserve(sizeof(*record));				\
		long n = record ? bpf_probe_read_user_str(record->line, sizeof(record->line),	\
							  text) :				\
				  -1;								\
		bool sent = n > 0 && (always || n < (long)sizeof(record->line));		\
		char last = 0;									\
												\
		if (sent) {									\
			if (n == (long)sizeof(record->line))					\
				bpf_probe_read_user(&last, 1, text + n - 1);			\
			(e)->head.len = n;							\
			(e)->head.cut = last != 0;						\
			record->head = (e)->head;						\
			bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);			\
		} else if (record) {								\
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);				\
		}										\
		sent;										\
	})

/* The function that gives a line to a program: its own memory, just written. */
SEC("uretprobe")
int BPF_KRETPROBE(line_read, const void *text)
{
	use_task_stack(ctx);
	struct line_event e = {};
	long n;

	if (!text || !filter_current()) /* no line: the end of the input */
		return 0;
	n = bpf_probe_read_user_str(e.line, sizeof(e.line), text);
	if (n <= 0) { /* 0: an empty one; else it could not be read */
		e.head.cut = n < 0;
		n = 1;
	}
	task_info_current(&e.head.task);
	read_tty(e.head.tty);
	e.head.len = n;
	if (!where_holds(ctx, &e, sizeof(e)))
		return 0;
	if (n == LINE_LEN) {
		if (SEND_LONG(line_long_event, &e, text, false) ||
		    SEND_LONG(line_longest_event, &e, text, true))
			return 0;
		e.head.len = n;
		e.head.cut = 1;
	}
	event_send(ctx, &e, offsetof(struct line_event, line) + (n & (2 * LINE_LEN - 1)));
	return 0;
}
