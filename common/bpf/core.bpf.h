/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every BPF file includes: types, helpers, licence, the exact account. 5.10+. */
#pragma once
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "abi/account.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Memory-mapped into user space: reading it costs no system call. */
struct cpu_account cb_account[ACCOUNT_CPUS] __attribute__((aligned(64)));

static __always_inline struct cpu_account *account(void)
{
	return &cb_account[bpf_get_smp_processor_id() & (ACCOUNT_CPUS - 1)];
}

static __always_inline void count_filtered(void)
{
	__sync_fetch_and_add(&account()->filtered, 1);
}

/* What a tool's own filter says, counted where it says no. */
static __always_inline bool asked_for(bool yes)
{
	if (!yes)
		count_filtered();
	return yes;
}

static __always_inline void count_lost_map(void)
{
	__sync_fetch_and_add(&account()->lost_map, 1);
}

/* A member of what `from` leads to. `direct`, a constant: a tp_btf or fentry program got it as an
 * argument, and the verifier lets it read without a helper. */
#define READ_FIELD(direct, from, field) ((direct) ? (from)->field : BPF_CORE_READ(from, field))

#define EEXIST 17

/* Keeps what a call's end will need. One that is there already is of a call whose end was not seen:
 * a kretprobe has few places for calls under way, one on a machine with one CPU without kernel
 * preemption, and before 6.7 does not tell of those it missed. Counted. */
static __always_inline void call_keep(void *map, const void *key, const void *value)
{
	/* Before 5.15 the call leaves only 32 bits of it. */
	int err = bpf_map_update_elem(map, key, value, BPF_NOEXIST);

	if (err == -EEXIST) {
		__sync_fetch_and_add(&account()->lost_return, 1);
		err = bpf_map_update_elem(map, key, value, BPF_ANY);
	}
	if (err)
		count_lost_map();
}

#define HASH_MAP(name, key_type, value_type, entries)  \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_HASH);               \
		__uint(max_entries, entries);                  \
		__type(key, key_type);                         \
		__type(value, value_type);                     \
	} name SEC(".maps")
