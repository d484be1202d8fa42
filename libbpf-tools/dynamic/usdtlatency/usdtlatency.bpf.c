// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "usdtlatency.h"
#include "bpf/filter.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bpf/usdt.bpf.h"

const volatile struct usdtlatency_config cfg = { .unit_ns = 1 };

HIST()
HISTS(struct usdtlatency_key, 8192)
HASH_MAP(waiting, struct pair_key, struct pair_waiting, PAIR_WAITING);

struct pair_counts pair_counts[ACCOUNT_CPUS] __attribute__((aligned(64)));
static const struct pair_waiting no_begin;

static __always_inline struct pair_counts *counts(void)
{
	return &pair_counts[bpf_get_smp_processor_id() & (ACCOUNT_CPUS - 1)];
}

static __always_inline bool find_key(struct pt_regs *ctx, __u32 argument, struct pair_key *key)
{
	__u64 ids = bpf_get_current_pid_tgid();

	key->pid = ids >> 32;
	if (!argument) {
		key->value = (__u32)ids;
		return true;
	}
	if (usdt_arg(ctx, argument - 1, &key->value))
		return true;
	__sync_fetch_and_add(&counts()->unreadable, 1);
	return false;
}

SEC("uprobe")
int pair_begins(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct pair_key key = {};
	struct pair_waiting *w;
	__u32 used;

	if (!filter_current() || !find_key(ctx, cfg.begin_argument, &key))
		return 0;
	w = find_or_insert(&waiting, &key, &no_begin);
	if (!w)
		return 0;
	used = w->used;
	if (used >= PAIR_DEPTH) { /* ends are missing: the oldest has waited for longest */
		for (int i = 1; i < PAIR_DEPTH; i++)
			w->start_ns[i - 1] = w->start_ns[i];
		used = PAIR_DEPTH - 1;
		__sync_fetch_and_add(&counts()->begins, 1);
	}
	w->start_ns[used & (PAIR_DEPTH - 1)] = bpf_ktime_get_ns();
	w->used = used + 1;
	return 0;
}

SEC("uprobe")
int pair_ends(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	__u64 now = bpf_ktime_get_ns(), ns;
	struct usdtlatency_key row = {};
	struct pair_key key = {};
	struct pair_waiting *w;
	__u32 used;

	if (!filter_current() || !find_key(ctx, cfg.end_argument, &key))
		return 0;
	w = bpf_map_lookup_elem(&waiting, &key);
	used = w ? w->used : 0;
	if (!w || !used) {
		__sync_fetch_and_add(&counts()->ends, 1);
		return 0;
	}
	used--;
	ns = time_between(w->start_ns[used & (PAIR_DEPTH - 1)], now);
	w->used = used;
	if (!used)
		bpf_map_delete_elem(&waiting, &key);
	if (cfg.per_process) {
		row.pid = current_ids() >> 32;
		hists_count_in(&row, log2_slot(ns, cfg.unit_ns), ns);
	} else {
		hist_count_in(log2_slot(ns, cfg.unit_ns), ns);
	}
	return 0;
}
