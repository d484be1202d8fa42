// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/usdt.bpf.h"
#include "usdtargs.h"

/* In a map: of what lies on the stack the verifier would follow each combination of arguments that could
 * be read and that could not. */
EVENT_SCRATCH(struct usdt_event, 1)

SEC("uprobe")
int operands(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct usdt_event *e = event_scratch(0);

	if (!e || !filter_current())
		return 0;
	e->readable = 0;
#pragma unroll
	for (int i = 0; i < USDT_ARGUMENTS; i++)
		if (usdt_arg(ctx, i, &e->values[i]))
			e->readable |= 1 << i;
	task_info_read(&e->task, false);
	event_output(ctx, e, sizeof(*e));
	return 0;
}
