/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Look-ups of names in the dentry cache, all of them: those of path walks (lookup_fast()) and those
 * that go to the cache directly (d_lookup(): creat, mkdir, unlink, rename, readdir of /proc ...).
 * What is not found there goes to the file system by ways that differ (d_alloc_parallel(),
 * d_alloc()); a miss is taken where it is known, at the search that found nothing. 5.10+.
 *
 * A tool that includes this defines DCACHE_HOOKS and first
 *	static __always_inline int dcache_lookup(void *ctx, struct dcache_lookup *look); */
#pragma once
#include "bpf/filter.bpf.h"
#include "bpf/syscall.bpf.h"
#include "dcache.h"

/* What programs that may interrupt each other are of. */
enum dcache_way {
	DCACHE_WALK,   /* lookup_fast() */
	DCACHE_SEARCH, /* d_lookup() */
	DCACHE_WAYS,
};

struct dcache_lookup {
	enum dcache_way way;
	struct dentry *parent;
	struct vfsmount *mnt; /* NULL: not known */
	const unsigned char *name; /* in kernel memory, without NUL */
	__u32 len;
	enum dcache_result result;
};

#ifdef DCACHE_HOOKS

#define ECHILD 10

/* What a thread's path walk did not find: an open asks d_lookup() for it again, which is one look-up
 * and not two. */
struct dcache_missing {
	struct dentry *parent;
	__u32 hash, len; /* not hash_len: 5.10's verifier takes the union for its first member */
};
HASH_MAP(dcache_missed, __u32, struct dcache_missing, 16384);

#define DCACHE_GET(direct, from, member) ((direct) ? (from)->member : BPF_CORE_READ(from, member))

/* The end of a path walk's search: `found` is a dentry, NULL, or -ECHILD, after which the walk
 * begins anew, with locks. */
static __always_inline int dcache_walked(void *ctx, struct nameidata *nd, long found, bool direct)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct dcache_missing missing;
	struct dcache_lookup look;

	if (found < 0 && found >= -4095)
		return 0;
	look.way = DCACHE_WALK;
	look.parent = DCACHE_GET(direct, nd, path.dentry);
	look.mnt = DCACHE_GET(direct, nd, path.mnt);
	look.name = DCACHE_GET(direct, nd, last.name);
	look.len = DCACHE_GET(direct, nd, last.len);
	look.result = DCACHE_FAST;
	if (!found) {
		look.result = DCACHE_MISS;
		missing.parent = look.parent;
		missing.hash = DCACHE_GET(direct, nd, last.hash);
		missing.len = look.len;
		bpf_map_update_elem(&dcache_missed, &tid, &missing, BPF_ANY);
	}
	return dcache_lookup(ctx, &look);
}

static __always_inline int dcache_searched(void *ctx, struct dentry *parent, struct qstr *name,
					   long found, bool direct)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct dcache_missing *missing = bpf_map_lookup_elem(&dcache_missed, &tid);
	struct dcache_lookup look = { .way = DCACHE_SEARCH, .parent = parent };

	if (missing) {
		bool again = missing->parent == parent &&
			     missing->hash == DCACHE_GET(direct, name, hash) &&
			     missing->len == DCACHE_GET(direct, name, len);

		bpf_map_delete_elem(&dcache_missed, &tid);
		if (again)
			return 0;
	}
	look.name = DCACHE_GET(direct, name, name);
	look.len = DCACHE_GET(direct, name, len);
	look.result = found ? DCACHE_SLOW : DCACHE_MISS;
	return dcache_lookup(ctx, &look);
}

/* The file system is being asked: the look-up is over. */
static __always_inline int dcache_asked(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&dcache_missed, &tid);
	return 0;
}

/* 03fa86e9f79d (v6.0) gave nameidata next_seq and took two of lookup_fast()'s three arguments; what it
 * returned stands behind them. In assembly, since clang would compute one address for both. */
SEC("fexit/lookup_fast")
int BPF_PROG(walk_fexit, struct nameidata *nd)
{
	long found;

	if (bpf_core_field_exists(nd->next_seq))
		asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(found) : "r"(ctx));
	else
		asm volatile("%0 = *(u64 *)(%1 + 24)" : "=r"(found) : "r"(ctx));
	return dcache_walked(ctx, nd, found, true);
}

SEC("fexit/d_lookup")
int BPF_PROG(search_fexit, struct dentry *parent, struct qstr *name, long found)
{
	return dcache_searched(ctx, parent, name, found, true);
}

SEC("fentry/d_alloc_parallel")
int BPF_PROG(asked_fentry) { return dcache_asked(); }
SEC("kprobe/d_alloc_parallel")
int asked_kprobe(struct pt_regs *ctx) { return dcache_asked(); }

/* Without fexit: the arguments are kept from entry to return. A thread's searches do not nest:
 * neither function calls the other. */
struct dcache_args {
	void *where;
	struct qstr *name;
};
SYSCALL_ARGS(struct dcache_args)

static __always_inline int dcache_enter(void *where, struct qstr *name)
{
	struct dcache_args args = { where, name };

	/* Here too: a search of others whose return is missed is no loss of what was asked for. */
	if (filter_current())
		args_keep(&args);
	return 0;
}

SEC("kprobe/lookup_fast")
int BPF_KPROBE(walk_kprobe, struct nameidata *nd) { return dcache_enter(nd, NULL); }
SEC("kretprobe/lookup_fast")
int BPF_KRETPROBE(walk_kretprobe, long found)
{
	struct dcache_args args;

	return args_take(&args) ? dcache_walked(ctx, args.where, found, false) : 0;
}
SEC("kprobe/d_lookup")
int BPF_KPROBE(search_kprobe, struct dentry *parent, struct qstr *name)
{
	return dcache_enter(parent, name);
}
SEC("kretprobe/d_lookup")
int BPF_KRETPROBE(search_kret, long found)
{
	struct dcache_args args;

	return args_take(&args) ? dcache_searched(ctx, args.where, args.name, found, false) : 0;
}

#endif /* DCACHE_HOOKS */
