/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The file that a bio reads or writes, where the kernel can tell. 5.10+.
 *
 * What goes through the page cache is found by the first page: its mapping is that of the file. What
 * is read or written past the cache lies in the caller's own memory; there the file system's bio
 * leads to the call (iomap: ext4, xfs ...), whose bi_end_io user space knows from kallsyms. */
#pragma once
#include "bpf/mode.bpf.h"
#include "bpf/path_mount.bpf.h"

#define PAGE_TAIL 1UL
#define MAPPING_FLAGS 3UL /* anonymous memory and the like, linux/page-flags.h */

struct dentry___pre_v7 {
	union {
		struct hlist_node d_alias;
	} d_u;
} __attribute__((preserve_access_index));

/* The first page of the folio that a page is of: the second word of the others leads there, with bit
 * 0 set, by its address, or since 7.x as the mask that makes it of one's own (compound_info). */
static __always_inline struct page *page_first(struct page *page)
{
	unsigned long info = 0, gaps;

	bpf_probe_read_kernel(&info, sizeof(info), (void *)page + sizeof(unsigned long));
	if (!(info & PAGE_TAIL))
		return page;
	info &= ~PAGE_TAIL;
	gaps = ~info;
	return (void *)(gaps & (gaps + 1) ? info : (unsigned long)page & info);
}

/* The open file of a direct transfer, NULL if it is none that we can tell. */
static __always_inline struct file *bio_file(struct bio *bio, __u64 direct_end)
{
	struct iomap_dio *dio;

	if (!direct_end || (__u64)BPF_CORE_READ(bio, bi_end_io) != direct_end)
		return NULL;
	dio = BPF_CORE_READ(bio, bi_private);
	return BPF_CORE_READ(dio, iocb, ki_filp);
}

/* A name of the file or directory whose page in the cache the bio begins with. */
static __always_inline struct dentry *bio_dentry(struct bio *bio)
{
	struct bio_vec *vec = BPF_CORE_READ(bio, bi_io_vec);
	struct page *page = NULL;
	struct address_space *mapping;
	struct inode *inode;
	struct hlist_node *alias;
	__u32 mode;

	if (!vec || !BPF_CORE_READ(bio, bi_vcnt))
		/* A clone shares the other's pages and does not count them. */
		if (!vec || !BPF_CORE_READ(bio, bi_iter.bi_size))
			return NULL;
	vec += BPF_CORE_READ(bio, bi_iter.bi_idx);
	page = BPF_CORE_READ(vec, bv_page);
	if (!page)
		return NULL;
	mapping = BPF_CORE_READ(page_first(page), mapping);
	if (!mapping || (unsigned long)mapping & MAPPING_FLAGS)
		return NULL;
	inode = BPF_CORE_READ(mapping, host);
	if (!inode)
		return NULL;
	/* Not a disk's own cache, which holds file systems' metadata. */
	mode = BPF_CORE_READ(inode, i_mode) & S_IFMT;
	if (mode != S_IFREG && mode != S_IFDIR)
		return NULL;
	alias = BPF_CORE_READ(inode, i_dentry.first);
	if (!alias)
		return NULL;
	if (bpf_core_field_exists(struct dentry___pre_v7, d_u))
		return (void *)alias - bpf_core_field_offset(struct dentry___pre_v7, d_u.d_alias);
	return (void *)alias - bpf_core_field_offset(struct dentry, d_alias);
}

/* In the context of the one who asks: the mount that it sees the file through. */
static __always_inline struct vfsmount *bio_mount(struct bio *bio, __u64 direct_end)
{
	struct dentry *dentry;
	struct file *file;

	if (!bio)
		return NULL;
	file = bio_file(bio, direct_end);
	if (file)
		return BPF_CORE_READ(file, f_path.mnt);
	dentry = bio_dentry(bio);
	return dentry ? path_mount_of(dentry) : NULL;
}

/* Fills *record, which is in map memory, as path_record_dentry() does, when the transfer is over: its
 * pages and the call are still there, and its names are those of now. Empty: no file, or none that
 * we can tell. */
static __always_inline __u64 bio_path(struct path_record *record, struct bio *bio,
				      struct vfsmount *mnt, __u64 direct_end)
{
	struct dentry *dentry = NULL;
	struct file *file;

	if (bio && mnt) {
		file = bio_file(bio, direct_end);
		dentry = file ? BPF_CORE_READ(file, f_path.dentry) : bio_dentry(bio);
	}
	return dentry ? path_record_dentry(record, dentry, mnt) : path_record_none(record);
}
