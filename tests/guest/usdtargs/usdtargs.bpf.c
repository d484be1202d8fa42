// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/usdt.bpf.h"
#include "usdtargs.h"

SEC("uprobe")
int operands(struct pt_regs *ctx)
{
	struct usdt_event e = {};

	if (!filter_current())
		return 0;
#pragma unroll
	for (int i = 0; i < USDT_ARGUMENTS; i++)
		e.readable |= usdt_arg(ctx, i, &e.values[i]) << i;
	task_info_read(&e.task, false);
	event_output(ctx, &e, sizeof(e));
	return 0;
}
