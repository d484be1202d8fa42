// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "readahead.h"
#include "../page_cache.bpf.h"
#include "bpf/call_place.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/hist.bpf.h"

HIST()
struct readahead_pages pages = {};

/* The outermost of the functions that read ahead which a thread is in; they call each other. A thread
 * that is in none has no entry. */
struct outermost {
	__u32 place, function;
};
HASH_MAP(reading, __u32, struct outermost, 16384);

/* Folios that read-ahead brought in and nobody has used yet. */
struct birth {
	__u64 time_ns;
	__u32 pages;
};
HASH_MAP(births, __u64, struct birth, 131072); /* --folios sets it */

/* One that is over when another begins is one whose return was not seen. Counted for kretprobes;
 * where the kernel did not run an fexit program it has counted that itself. */
static __always_inline int enter(__u32 place, __u32 function, bool kprobe)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct outermost now = { place, function };
	struct outermost *outer = bpf_map_lookup_elem(&reading, &tid);

	if (outer) {
		__u32 above = place - outer->place;

		/* A function that ends with a jump to another one shares its place with that. */
		if (above ? above >= CALL_STACK_BYTES : outer->function != function)
			return 0;
		if (kprobe)
			__sync_fetch_and_add(&account()->lost_return, 1);
		*outer = now;
	} else if (filter_current() && bpf_map_update_elem(&reading, &tid, &now, BPF_ANY)) {
		count_lost_map();
	}
	return 0;
}

static __always_inline int leave(__u32 place)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct outermost *outer = bpf_map_lookup_elem(&reading, &tid);

	if (outer && outer->place == place)
		bpf_map_delete_elem(&reading, &tid);
	return 0;
}

enum { UNBOUND, ORDER, PLAIN, FORCED };

#define READS_AHEAD(name, id, function)                                                  \
	SEC("fentry/" #function)                                                         \
	int name##_fentry(void *ctx) { return enter(call_context_place(ctx), id, false); } \
	SEC("fexit/" #function)                                                          \
	int name##_fexit(void *ctx) { return leave(call_context_place(ctx)); }           \
	SEC("kprobe/" #function)                                                         \
	int name##_kprobe(struct pt_regs *ctx) { return enter(call_place(ctx), id, true); } \
	SEC("kretprobe/" #function)                                                      \
	int name##_kret(struct pt_regs *ctx) { return leave(call_return_place(ctx)); }

READS_AHEAD(unbound, UNBOUND, page_cache_ra_unbounded)
READS_AHEAD(order, ORDER, page_cache_ra_order)
READS_AHEAD(plain, PLAIN, do_page_cache_ra)
READS_AHEAD(forced, FORCED, force_page_cache_ra)

static __always_inline int born(struct folio *folio, bool direct)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 key = (__u64)folio;
	struct birth birth = {};

	if (!bpf_map_lookup_elem(&reading, &tid))
		return 0;
	birth.time_ns = bpf_ktime_get_ns();
	birth.pages = folio_pages(folio, direct);
	if (bpf_map_update_elem(&births, &key, &birth, BPF_ANY))
		count_lost_map();
	else
		__sync_fetch_and_add(&pages.ahead, birth.pages);
	return 0;
}

SEC("tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(born_tp_btf, struct folio *folio) { return born(folio, true); }
SEC("raw_tp/mm_filemap_add_to_page_cache")
int born_raw_tp(struct bpf_raw_tracepoint_args *ctx) { return born((void *)ctx->args[0], false); }

/* The end of what births knows of a folio. Two CPUs may get here at once: one of them deletes it. */
static __always_inline int end(void *folio, bool used)
{
	__u64 key = (__u64)folio;
	struct birth *found = bpf_map_lookup_elem(&births, &key);
	struct birth birth;

	if (!found)
		return 0;
	birth = *found;
	if (bpf_map_delete_elem(&births, &key))
		return 0;
	if (used) {
		__sync_fetch_and_add(&pages.used, birth.pages);
		hist_count(time_since(birth.time_ns), 1000000);
	} else {
		__sync_fetch_and_add(&pages.dropped, birth.pages);
	}
	return 0;
}

SEC("raw_tp/mm_filemap_delete_from_page_cache")
int gone_raw_tp(struct bpf_raw_tracepoint_args *ctx) { return end((void *)ctx->args[0], false); }

SEC("fentry/folio_mark_accessed")
int BPF_PROG(used_fentry, void *folio) { return end(folio, true); }
SEC("kprobe/folio_mark_accessed")
int BPF_KPROBE(used_kprobe, void *folio) { return end(folio, true); }
/* Before 5.16; later a shell around the other. */
SEC("fentry/mark_page_accessed")
int BPF_PROG(oldused_fentry, void *page) { return end(page, true); }
SEC("kprobe/mark_page_accessed")
int BPF_KPROBE(oldused_kprobe, void *page) { return end(page, true); }

/* A page fault uses the page that it maps, but the kernel marks it only when it is unmapped. */
#define COMPOUND_TAIL 1UL

static __always_inline int faulted(struct page *page)
{
	unsigned long head = (unsigned long)page;

	if (!page)
		return 0;
	/* The second word of a page inside of a folio leads to the first page, with bit 0 set: it is
	 * its address, or since 7.x the mask that makes it of one's own (compound_info). */
	{
		unsigned long info = 0, gaps;

		bpf_probe_read_kernel(&info, sizeof(info), (void *)page + sizeof(unsigned long));
		if (info & COMPOUND_TAIL) {
			info &= ~COMPOUND_TAIL;
			gaps = ~info;
			head = gaps & (gaps + 1) ? info : head & info;
		}
	}
	return end((void *)head, true);
}

SEC("fexit/filemap_fault")
int BPF_PROG(fault_fexit, struct vm_fault *vmf, unsigned int ret)
{
	/* VM_FAULT_ERROR and VM_FAULT_RETRY have no page. */
	return ret & 0x0c73 ? 0 : faulted(BPF_CORE_READ(vmf, page));
}
