/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What netfilter decided about a packet, and who. */
#pragma once
#include "abi/types.h"

/* NF_DROP and so on. */
enum nf_verdict {
	NF_VERDICT_DROP,
	NF_VERDICT_ACCEPT,
	NF_VERDICT_STOLEN,
	NF_VERDICT_QUEUE,
};

#define NF_NAME 32 /* of a table or chain, as much as is shown */

struct nf_decision {
	__u64 function; /* address of the hook function that decided; 0: not known */
	__s32 priority; /* of its registration */
	__u8 family;    /* NFPROTO_* */
	__u8 hook;
	__u8 verdict;   /* enum nf_verdict */
	__u8 hooks;     /* functions that are registered there */
	char table[NF_NAME], chain[NF_NAME];
};

/* The last evaluation of rules on a CPU: of a chain or a table. */
struct nf_last {
	__u64 rules;
	__u32 verdict;
	__u32 kind; /* enum nf_rules */
};

/* In types of modules, whose BTF no program is relocated by: offsets in bytes, 0 if not known. */
struct nf_offsets {
	__u16 chain_name, chain_table, table_name; /* struct nft_chain, nft_table */
	__u16 xt_table_name;
	__u8 is_table_first; /* of ipt_do_table's arguments */
	__u8 unused[7];
};
