// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/top.bpf.h"
#include "bpf/where.bpf.h"
#include "kvmexit.h"

const volatile struct kvmexit_config cfg = {};

TOP(struct kvmexit_key, struct kvmexit_count, 16384)

static __always_inline __u32 field(void *record, __u32 at)
{
	__u32 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), record + at);
	return value;
}

static __noinline bool holds(const struct kvmexit_key *key, __u64 ids)
{
	struct kvmexit_event e = {
		.pid = ids >> 32, .tid = ids, .vcpu = key->vcpu, .reason = key->reason
	};

	bpf_get_current_comm(e.comm, sizeof(e.comm));
	return where_holds(NULL, &e, sizeof(e));
}

/* Of the raw tracepoint's arguments only 5.10's have the reason; later ones leave it to a function of
 * kvm_intel or kvm_amd, which the record is filled by. */
SEC("tp/kvm/kvm_exit")
int kvm_exit(void *ctx)
{
	struct kvmexit_key key = {};
	struct kvmexit_count *c;
	__u64 ids;
	bool made;

	if (!filter_current())
		return 0;
	if (cfg.vcpu_at)
		key.vcpu = field(ctx, cfg.vcpu_at);
	if (!asked_for(!cfg.by_vcpu || key.vcpu == cfg.vcpu))
		return 0;
	ids = current_ids();
	key.tid = ids;
	key.reason = field(ctx, cfg.reason_at);
	if (cb_where_on && !holds(&key, ids))
		return 0;
	c = top_entry(&key, &made);
	if (!c)
		return 0;
	if (made) {
		c->pid = ids >> 32;
		c->isa = field(ctx, cfg.isa_at);
	}
	c->count++;
	return 0;
}
