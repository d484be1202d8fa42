// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "../connect_progs.bpf.h"
#include "tcpconnlat.h"

const volatile struct tcpconnlat_config cfg = {};

static __always_inline void connect_ended(void *ctx, struct sock *sk, struct connect_event *e)
{
	if (asked_for(time_between(e->start_ns, e->time_ns) >= cfg.min_ns))
		event_output(ctx, e, sizeof(*e));
}
