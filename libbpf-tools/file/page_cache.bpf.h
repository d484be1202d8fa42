/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The page cache, as its users see it: who asks for pages, which come from storage, which become
 * dirty. Always in pages, however many a folio has. 5.10+.
 *
 * What BCC counts (marks of access, additions) has other causes too, and a folio of 64 pages counts
 * once there: here each number is taken where the pages are known.
 *
 * A tool that includes this defines PAGE_CACHE_HOOKS and first
 *	static __always_inline void page_cache_count(enum page_cache_event event, __u64 pages);
 * Without PAGE_CACHE_HOOKS there is only folio_pages(). */
#pragma once
#include "bpf/core.bpf.h"
#include "page_cache.h"

#define PAGE_BITS 12 /* x86-64, and arm64 as Debian builds it */

/* 7.2 has folio._nr_pages. */
struct folio___pre_v7 {
	unsigned int _folio_nr_pages;
} __attribute__((preserve_access_index));

/* The pages of a folio; on 5.10, where `folio` is a page, 1. `direct`: it came as an argument of a
 * tp_btf or fentry program. */
static __always_inline __u64 folio_pages(struct folio *folio, bool direct)
{
	struct folio___pre_v7 *old = (void *)folio;
	unsigned long flags;

	if (!bpf_core_type_exists(struct folio))
		return 1;
	/* The flags are the first word of folio and page on every kernel. */
	if (direct)
		flags = *(unsigned long *)folio;
	else
		bpf_probe_read_kernel(&flags, sizeof(flags), folio);
	/* Bit 16 up to 6.1, bit 6 on 6.12. Only a large folio has its number of pages. */
	if (!(flags & 1UL << bpf_core_enum_value(enum pageflags, PG_head)))
		return 1;
	if (bpf_core_field_exists(folio->_nr_pages))
		return direct ? folio->_nr_pages : BPF_CORE_READ(folio, _nr_pages);
	return direct ? old->_folio_nr_pages : BPF_CORE_READ(old, _folio_nr_pages);
}

#ifdef PAGE_CACHE_HOOKS

#define PAGE_CACHE_GET(direct, from, member) ((direct) ? (from)->member : BPF_CORE_READ(from, member))

static __always_inline void page_cache_range(__u64 from, __u64 to)
{
	if (to > from)
		page_cache_count(PAGE_CACHE_READ,
				 ((to - 1) >> PAGE_BITS) - (from >> PAGE_BITS) + 1);
}

/* A read that begins: what it asks for, as far as the file goes. At entry, since there the program
 * costs less than at return; they differ only where a read fails. */
static __always_inline int page_cache_read(struct kiocb *iocb, struct iov_iter *iter, bool direct)
{
	struct file *file = PAGE_CACHE_GET(direct, iocb, ki_filp);
	struct address_space *mapping = PAGE_CACHE_GET(direct, file, f_mapping);
	struct inode *inode = PAGE_CACHE_GET(direct, mapping, host);
	__u64 size = PAGE_CACHE_GET(direct, inode, i_size);
	__u64 from = PAGE_CACHE_GET(direct, iocb, ki_pos);
	__u64 to = from + PAGE_CACHE_GET(direct, iter, count);

	page_cache_range(from, to < size ? to : size);
	return 0;
}

#define PAGE_CACHE_READER(name, function)                                       \
	SEC("fentry/" #function)                                                \
	int BPF_PROG(name##_fentry, struct kiocb *iocb, struct iov_iter *iter)  \
	{                                                                       \
		return page_cache_read(iocb, iter, true);                       \
	}                                                                       \
	SEC("kprobe/" #function)                                                \
	int BPF_KPROBE(name##_kprobe, struct kiocb *iocb, struct iov_iter *iter) \
	{                                                                       \
		return page_cache_read(iocb, iter, false);                      \
	}

PAGE_CACHE_READER(read, filemap_read)
PAGE_CACHE_READER(oldread, generic_file_buffered_read) /* before 5.12 */
PAGE_CACHE_READER(shmem, shmem_file_read_iter)         /* tmpfs */

/* sendfile(2), splice(2) and copies inside the kernel, since 6.5; before, they are reads. */
static __always_inline int page_cache_spliced(loff_t *pos, long ret)
{
	loff_t end = 0;

	bpf_probe_read_kernel(&end, sizeof(end), pos);
	if (ret > 0)
		page_cache_range(end - ret, end);
	return 0;
}

SEC("fexit/filemap_splice_read")
int BPF_PROG(splice_fexit, struct file *in, loff_t *pos, void *pipe, size_t len, unsigned int flags,
	     long ret)
{
	return page_cache_spliced(pos, ret);
}

SEC("fexit/shmem_file_splice_read")
int BPF_PROG(shsplice_fexit, struct file *in, loff_t *pos, void *pipe, size_t len,
	     unsigned int flags, long ret)
{
	return page_cache_spliced(pos, ret);
}

static __always_inline int page_cache_one(enum page_cache_event event, __u64 pages)
{
	page_cache_count(event, pages);
	return 0;
}

SEC("fentry/filemap_fault")
int BPF_PROG(fault_fentry) { return page_cache_one(PAGE_CACHE_FAULT, 1); }
SEC("kprobe/filemap_fault")
int fault_kprobe(struct pt_regs *ctx) { return page_cache_one(PAGE_CACHE_FAULT, 1); }

/* All reading goes through here in batches, the page that is asked for and what is read ahead; on
 * each of the four kernels as often as there were batches (fires.txt). */
SEC("fentry/read_pages")
int BPF_PROG(readin_fentry, struct readahead_control *rac)
{
	return page_cache_one(PAGE_CACHE_READ_IN, rac->_nr_pages);
}
SEC("kprobe/read_pages")
int BPF_KPROBE(readin_kprobe, struct readahead_control *rac)
{
	return page_cache_one(PAGE_CACHE_READ_IN, BPF_CORE_READ(rac, _nr_pages));
}

/* Except where read-ahead is off for a mapping (MADV_RANDOM), or a page that is there is not whole. */
SEC("fentry/filemap_read_folio")
int BPF_PROG(single_fentry, struct file *file, void *filler, struct folio *folio)
{
	return page_cache_one(PAGE_CACHE_READ_IN, folio_pages(folio, true));
}
SEC("kprobe/filemap_read_folio")
int BPF_KPROBE(single_kprobe, struct file *file, void *filler, struct folio *folio)
{
	return page_cache_one(PAGE_CACHE_READ_IN, folio_pages(folio, false));
}

#define PAGE_CACHE_TRACEPOINT(event, name, tracepoint)                          \
	SEC("tp_btf/" #tracepoint)                                              \
	int BPF_PROG(name##_tp_btf, struct folio *folio)                        \
	{                                                                       \
		return page_cache_one(event, folio_pages(folio, true));         \
	}                                                                       \
	SEC("raw_tp/" #tracepoint)                                              \
	int name##_raw_tp(struct bpf_raw_tracepoint_args *ctx)                  \
	{                                                                       \
		return page_cache_one(event, folio_pages((void *)ctx->args[0], false)); \
	}

PAGE_CACHE_TRACEPOINT(PAGE_CACHE_DIRTIED, dirty, writeback_dirty_folio)
PAGE_CACHE_TRACEPOINT(PAGE_CACHE_DIRTIED, olddirty, writeback_dirty_page) /* before 5.18 */

/* tmpfs and ramfs, whose pages have no storage to be written to: true where it was clean. */
SEC("fexit/noop_dirty_folio")
int BPF_PROG(shdirty_fexit, struct address_space *mapping, struct folio *folio, bool ret)
{
	return ret ? page_cache_one(PAGE_CACHE_DIRTIED, folio_pages(folio, true)) : 0;
}
SEC("fexit/__set_page_dirty_no_writeback") /* before 5.18 */
int BPF_PROG(oldshdirt_fexit, struct page *page, int ret)
{
	return ret ? page_cache_one(PAGE_CACHE_DIRTIED, 1) : 0;
}

#ifdef PAGE_CACHE_ADDITIONS
PAGE_CACHE_TRACEPOINT(PAGE_CACHE_ADDED, add, mm_filemap_add_to_page_cache)
#endif

#endif /* PAGE_CACHE_HOOKS */
