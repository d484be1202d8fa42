// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/counters.bpf.h"
#define DCACHE_HOOKS
struct dcache_lookup;
static __always_inline int dcache_lookup(void *ctx, struct dcache_lookup *look);
#include "../dcache.bpf.h"

static __always_inline int dcache_lookup(void *ctx, struct dcache_lookup *look)
{
	if (counters_wanted())
		counters_add(look->result, 1);
	return 0;
}
