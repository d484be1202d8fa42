// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../pages.bpf.h"
#include "bpf/counters.bpf.h"
#include "numamove.h"

struct move {
	__u64 start_ns;
	__u32 pages;
};

HASH_MAP(moves, __u32, struct move, 8192);

/* The function frees the page that it has moved: its size is read before. */
static __always_inline int begin(struct folio *folio, __u32 pages)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct move move = { .start_ns = bpf_ktime_get_ns() };

	if (!counters_wanted())
		return 0;
	move.pages = pages ?: pages_of(folio);
	if (bpf_map_update_elem(&moves, &tid, &move, BPF_ANY))
		count_lost_map();
	return 0;
}

static __always_inline int end(bool moved)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct move *move = bpf_map_lookup_elem(&moves, &tid);

	if (!move)
		return 0;
	if (moved) {
		counters_add(NUMA_MIGRATIONS, 1);
		counters_add(NUMA_PAGES, move->pages);
	} else {
		counters_add(NUMA_FAILURES, 1);
	}
	counters_add(NUMA_NS, time_between(move->start_ns, bpf_ktime_get_ns()));
	bpf_map_delete_elem(&moves, &tid);
	return 0;
}

/* Since 6.11 it returns 0 for success, with migrate_misplaced_folio_prepare() before it. It then has two
 * or three arguments. */
SEC("fentry/migrate_misplaced_folio")
int BPF_PROG(folio_fentry, struct folio *folio) { return begin(folio, 0); }

SEC("fexit/migrate_misplaced_folio")
int folio_fexit(__u64 *ctx)
{
	__u64 result = 0;

	bpf_get_func_ret(ctx, &result);
	return end((int)result == 0);
}

SEC("kprobe/migrate_misplaced_folio")
int BPF_KPROBE(folio_kprobe, struct folio *folio) { return begin(folio, 0); }

SEC("kretprobe/migrate_misplaced_folio")
int BPF_KRETPROBE(folio_return, int result) { return end(result == 0); }

/* From 6.8 on, as its predecessor: how many it has moved. */
SEC("kretprobe/migrate_misplaced_folio")
int BPF_KRETPROBE(oldfolio_return, int result) { return end(result > 0); }

SEC("fentry/migrate_misplaced_page")
int BPF_PROG(page_fentry, struct folio *page) { return begin(page, 0); }

SEC("fexit/migrate_misplaced_page")
int BPF_PROG(page_fexit, struct folio *page, void *vma, int node, int result)
{
	return end(result > 0);
}

SEC("kprobe/migrate_misplaced_page")
int BPF_KPROBE(page_kprobe, struct folio *page) { return begin(page, 0); }

SEC("kretprobe/migrate_misplaced_page")
int BPF_KRETPROBE(page_return, int result) { return end(result > 0); }

/* Up to 5.12. Seven arguments are too many for fentry there. */
#define HUGE_PAGES 512

SEC("kprobe/migrate_misplaced_transhuge_page")
int BPF_KPROBE(huge_kprobe) { return begin(NULL, HUGE_PAGES); }

SEC("kretprobe/migrate_misplaced_transhuge_page")
int BPF_KRETPROBE(huge_return, int result) { return end(result > 0); }
