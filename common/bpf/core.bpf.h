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

/* Helpers that not every kernel has, of those that programs ask for. A flavour: the whole of enum
 * bpf_func_id would make each object several KB larger. */
enum bpf_func_id___asked {
	BPF_FUNC_get_current_task_btf___asked = 1, /* 5.11 */
	BPF_FUNC_get_attach_cookie___asked,        /* 5.15 */
	BPF_FUNC_task_pt_regs___asked,             /* 5.15 */
};
#define HAS_HELPER(name) \
	bpf_core_enum_value_exists(enum bpf_func_id___asked, BPF_FUNC_##name##___asked)

/* A member of what `from` leads to. `direct`, a constant: a tp_btf or fentry program got it as an
 * argument, and the verifier lets it read without a helper. */
#define READ_FIELD(direct, from, field) ((direct) ? (from)->field : BPF_CORE_READ(from, field))

/* The value of a key, made from *initial on first use (`*made`). Null where the map is full, which is
 * counted as lost. */
static __always_inline void *find_or_make(void *map, const void *key, const void *initial, bool *made)
{
	void *value = bpf_map_lookup_elem(map, key);

	*made = false;
	if (value)
		return value;
	*made = !bpf_map_update_elem(map, key, initial, BPF_NOEXIST);
	value = bpf_map_lookup_elem(map, key); /* that of another CPU, if that was faster */
	if (!value)
		count_lost_map();
	return value;
}

static __always_inline void *find_or_insert(void *map, const void *key, const void *initial)
{
	bool made;

	return find_or_make(map, key, initial, &made);
}

/* now - then for times that different CPUs took: theirs may differ by a little, and a clock that is
 * adjusted may step back (kernel/time/timekeeping.c, ktime_get_mono_fast_ns()). */
static __always_inline __u64 time_between(__u64 then, __u64 now)
{
	return now > then ? now - then : 0;
}

static __always_inline __u64 time_since(__u64 then)
{
	return time_between(then, bpf_ktime_get_ns());
}

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
