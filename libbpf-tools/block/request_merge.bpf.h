/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A request that ends as a part of another takes its note with it. Raw: it reads no member, so it is
 * the same program with and without BTF. 5.10+. */
#pragma once
#include "bpf/block.bpf.h"
#include "request_start.bpf.h"

SEC("raw_tp/block_rq_merge")
int merge(__u64 *ctx)
{
	struct request *rq = request_argument(ctx);
	struct request_start *s = request_find(rq);

	if (s)
		request_forget(rq, s);
	return 0;
}
