// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/top.bpf.h"
#include "../connect_call.bpf.h"
#include "../connect_progs.bpf.h"
#include "../dns.bpf.h"
#include "tcpconnect.h"

const volatile struct tcpconnect_config cfg = {};

TOP(struct connect_key, struct connect_counts, 16384)

static __noinline void count(void *ctx, struct connect_event *e)
{
	struct connect_key key = {};
	struct connect_counts *counts;
	bool made;

	if (!e || !where_holds(ctx, e, sizeof(*e)))
		return;
	key.conn = e->conn;
	if (!cfg.lport)
		key.conn.lport = 0;
	key.owner = e->owner;
	key.owner.tid = 0;
	counts = top_entry(&key, &made);
	if (!counts)
		return;
	__sync_fetch_and_add(&counts->connects, 1);
	if (e->result != CONNECT_ESTABLISHED && e->result != CONNECT_IN_PROGRESS)
		__sync_fetch_and_add(&counts->failed, 1);
}

static __always_inline void connect_ended(void *ctx, struct sock *sk, struct connect_event *e)
{
	if (cfg.counts)
		count(ctx, e);
	else
		event_output(ctx, e, sizeof(*e));
}
