// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bitesize.h"
#include "../disk.bpf.h"
#include "../issuer.bpf.h"
#include "../request_event.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/top.bpf.h"

const volatile struct bitesize_config cfg = { .per_process = true };

/* Histograms by process are asked for with each request, so they have a table: found by a hash, one
 * for each CPU, no helper is called. User space has it mapped. The halves are the generations.
 * Histograms whose place is taken are in a hash map. */
struct size_place cb_places[2][SIZE_PLACES];
HISTS(struct size_key, 16384)
TOP(struct linear_key, __u64, 20480)

union name {
	char comm[COMM_LEN];
	__u64 word[2];
};

static __always_inline bool is_asked_for(const char *comm)
{
	for (int i = 0; i < COMM_LEN && cfg.comm[i]; i++)
		if (comm[i] != cfg.comm[i])
			return false;
	return true;
}

static __noinline int count_elsewhere(const union name *name, __u64 rest, __u32 bytes)
{
	struct size_key key = { .disk = rest >> 32, .kind = (__u8)(rest >> 16) };

	if (!name)
		return 0;
	__builtin_memcpy(key.comm, name->comm, COMM_LEN);
	hists_count(&key, bytes, SIZE_UNIT);
	return 0;
}

static __always_inline void count(const union name *name, __u32 disk, __u32 kind, __u32 bytes)
{
	__u64 a = name->word[0], b = name->word[1];
	__u32 slot = log2_slot(bytes, SIZE_UNIT);
	__u64 rest = (__u64)disk << 32 | slot >> HIST_BITS << 24 | kind << 16 |
		     (__u16)(bpf_get_smp_processor_id() + 1);
	__u64 mixed = (a ^ b * 3 ^ rest * 5) * 0x9e3779b97f4a7c15ull; /* Fibonacci hashing */
	struct size_place *p =
		&cb_places[cb_generation & 1][(mixed >> 32) & (SIZE_PLACES - 1)];

	if (p->rest == rest && p->name[0] == a && p->name[1] == b) {
		hist_part_add(&p->part, slot, bytes);
		return;
	}
	if (!p->tickets) {
		/* As in request_start.bpf.h: one at most of those who take a ticket gets it. */
		__sync_fetch_and_add(&p->tickets, 1);
		if (*(volatile __u64 *)&p->tickets == 1) {
			p->name[0] = a;
			p->name[1] = b;
			p->rest = rest;
			hist_part_add(&p->part, slot, bytes);
			return;
		}
	}
	count_elsewhere(name, rest, bytes);
}

static __noinline int count_linear(__u32 bytes)
{
	struct linear_key key = { .units = bytes / SIZE_UNIT };
	bool made;
	__u64 *n = top_entry(&key, &made);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

/* The name is known only where it is one of the key or of the filter. */
static __always_inline bool holds(struct request *rq, bool direct, const union name *name)
{
	struct request_event e;

	if (!cb_where_on)
		return true;
	request_event_fill(&e, rq, direct);
	__builtin_memcpy(e.comm, name->comm, sizeof(e.comm));
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline int issue(void *ctx, bool direct)
{
	struct request *rq = request_argument(ctx);
	__u32 bytes = READ_FIELD(direct, rq, __data_len), disk = 0, kind = 0;
	union name name = {};

	/* A flush has no size. */
	if (!bytes || request_comes_again(rq, direct))
		return 0;
	if (cfg.per_process || cfg.comm[0] || cb_issuer_filtered) {
		if (!issuer_of(rq, direct, name.comm))
			return 0;
		if (!is_asked_for(name.comm)) {
			count_filtered();
			return 0;
		}
	}
	if (!asked_for(request_is_on_disk(rq, direct)) || !holds(rq, direct, &name))
		return 0;
	if (!cfg.per_process)
		__builtin_memset(&name, 0, sizeof(name));
	if (cfg.per_disk)
		disk = request_disk_named(rq, direct);
	if (cfg.per_operation)
		kind = request_kind(READ_FIELD(direct, rq, cmd_flags));
	count(&name, disk, kind, bytes);
	if (cfg.linear)
		count_linear(bytes);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int issue_tp_btf(__u64 *ctx)
{
	return issue(ctx, true);
}

SEC("raw_tp/block_rq_issue")
int issue_raw_tp(__u64 *ctx)
{
	return issue(ctx, false);
}
