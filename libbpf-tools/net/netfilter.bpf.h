/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which hook function of netfilter decided about a packet. 5.10+.
 *
 * nf_hook_slow() calls one after the other and returns what the last one said, but not which that was.
 * Rules are evaluated by nft_do_chain() and ipt_do_table(), which return just before on the same CPU. */
#pragma once
#include "bpf/core.bpf.h"
#include "netfilter.h"

#define NF_HOOKS 16 /* as many functions of a hook are looked at */

enum nf_rules {
	NF_NFT = 1,
	NF_XT,
};

struct nf_last nf_lasts[ACCOUNT_CPUS];

static __always_inline struct nf_last *nf_last(void)
{
	return &nf_lasts[bpf_get_smp_processor_id() & (ACCOUNT_CPUS - 1)];
}

static __always_inline int nf_note(enum nf_rules kind, __u64 rules, __u32 verdict)
{
	struct nf_last *last = nf_last();

	last->rules = rules;
	last->verdict = verdict;
	last->kind = kind;
	return 0;
}

/* Which table it is, and of nft which chain. */
static __always_inline void nf_read_names(struct nf_decision *nf, const volatile struct nf_offsets *offsets,
					  const struct nf_last *last)
{
	__u64 text = 0, table = 0;

	if (last->kind == NF_XT && offsets->xt_table_name) {
		bpf_probe_read_kernel_str(nf->table, sizeof(nf->table),
					  (void *)last->rules + offsets->xt_table_name);
	} else if (last->kind == NF_NFT && offsets->chain_name) {
		bpf_probe_read_kernel(&text, sizeof(text), (void *)last->rules + offsets->chain_name);
		bpf_probe_read_kernel_str(nf->chain, sizeof(nf->chain), (void *)text);
		bpf_probe_read_kernel(&table, sizeof(table), (void *)last->rules + offsets->chain_table);
		bpf_probe_read_kernel(&text, sizeof(text), (void *)table + offsets->table_name);
		bpf_probe_read_kernel_str(nf->table, sizeof(nf->table), (void *)text);
	}
}

/* Number `i` of the hook's functions. */
static __always_inline void nf_read_entry(struct nf_decision *nf, struct nf_hook_entries *entries,
					  __u32 i)
{
	struct nf_hook_ops *ops = NULL;
	void *at = (void *)entries + bpf_core_field_offset(entries->hooks);

	bpf_probe_read_kernel(&nf->function, sizeof(nf->function),
			      at + i * sizeof(struct nf_hook_entry));
	/* nf_hook_entries_get_hook_ops(): they stand behind the entries. */
	bpf_probe_read_kernel(&ops, sizeof(ops),
			      at + nf->hooks * sizeof(struct nf_hook_entry) + i * sizeof(ops));
	nf->priority = BPF_CORE_READ(ops, priority);
}

/* Fills all of `nf`. `result` is what nf_hook_slow() returned: 1 accepted, 0 somebody keeps the packet,
 * else dropped. */
static __noinline int nf_read(struct nf_decision *nf, const volatile struct nf_offsets *offsets,
			      struct nf_hook_state *state, struct nf_hook_entries *entries, int result)
{
	struct nf_last *last = nf_last();
	struct nf_hook_entry entry;
	__u32 said = last->verdict & 0xff;
	void *hooks;

	if (!nf || !offsets)
		return 0;
	__builtin_memset(nf, 0, sizeof(*nf));
	nf->family = BPF_CORE_READ(state, pf);
	nf->hook = BPF_CORE_READ(state, hook);
	nf->hooks = BPF_CORE_READ(entries, num_hook_entries);
	nf->verdict = result == 1 ? NF_VERDICT_ACCEPT :
		      result == 0 ? NF_VERDICT_STOLEN :
				    NF_VERDICT_DROP;
	if (nf->verdict == NF_VERDICT_ACCEPT)
		goto out;
	/* A drop with a reason is 2 (stolen) and an errno in the upper half since v6.12, 0 before. */
	if (last->rules && said != NF_VERDICT_ACCEPT) {
		hooks = (void *)entries + bpf_core_field_offset(entries->hooks);
		for (__u32 i = 0; i < NF_HOOKS && i < nf->hooks; i++) {
			bpf_probe_read_kernel(&entry, sizeof(entry), hooks + i * sizeof(entry));
			if ((__u64)entry.priv != last->rules)
				continue;
			nf_read_entry(nf, entries, i);
			nf_read_names(nf, offsets, last);
			if (said == NF_VERDICT_QUEUE)
				nf->verdict = NF_VERDICT_QUEUE;
			goto out;
		}
		/* Before v5.16 hook functions of tables found theirs in the namespace. */
		if (last->kind == NF_XT)
			nf_read_names(nf, offsets, last);
	}
	if (nf->hooks == 1)
		nf_read_entry(nf, entries, 0);
out:
	last->rules = 0;
	return 0;
}
