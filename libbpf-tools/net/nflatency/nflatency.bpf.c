// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/call_place.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/where.bpf.h"
#include "nflatency.h"

const volatile struct nflatency_config cfg = { .unit = 1000 };
HISTS(struct nf_key, 16384)

struct nf_call {
	__u64 begun_ns;
	__u32 netns;
	__u8 family, hook;
	__u8 unused[2];
};

/* Calls under way: a softirq may interrupt one, and its task may then go on elsewhere. By what is of one
 * call alone: its state, which lies on its caller's stack, or its own place there. */
HASH_MAP(calls, __u64, struct nf_call, 4096);

/* False: it is not wanted, which is counted as it ends. */
static __always_inline bool read_call(struct nf_call *call, struct nf_hook_state *state, bool direct)
{
	call->family = READ_FIELD(direct, state, pf);
	call->hook = READ_FIELD(direct, state, hook);
	if (!asked_for(cfg.hooks[call->family & (NF_FAMILIES - 1)] >> (call->hook & 7) & 1))
		return false;
	if (!cfg.netns && !cb_where_on)
		return true;
	call->netns = direct ? state->net->ns.inum : BPF_CORE_READ(state, net, ns.inum);
	return asked_for(!cfg.netns || cfg.netns == call->netns);
}

static __always_inline void ended(void *ctx, const struct nf_call *call, int ret)
{
	struct nf_event e = {
		.ns = time_between(call->begun_ns, bpf_ktime_get_ns()),
		.netns = call->netns,
		.family = call->family,
		.hook = call->hook,
		.result = ret == 1 ? NF_ACCEPTED : ret == 0 ? NF_KEPT : NF_DROPPED,
	};
	struct nf_key key = {};

	if (!where_holds(ctx, &e, sizeof(e)))
		return;
	key.family = e.family;
	key.hook = e.hook;
	key.result = cfg.by_result ? e.result : 0;
	hists_count(&key, e.ns, cfg.unit);
}

SEC("fentry/nf_hook_slow")
int BPF_PROG(begin_fentry, struct sk_buff *skb, struct nf_hook_state *state)
{
	__u64 key = (__u64)state;
	struct nf_call call = {};

	if (!read_call(&call, state, true))
		return 0;
	call.begun_ns = bpf_ktime_get_ns();
	/* One that is there is of a call whose end the kernel did not show, which it has counted. */
	if (bpf_map_update_elem(&calls, &key, &call, BPF_ANY))
		count_lost_map();
	return 0;
}

SEC("fexit/nf_hook_slow")
int BPF_PROG(end_fexit, struct sk_buff *skb, struct nf_hook_state *state,
	     const struct nf_hook_entries *entries, unsigned int from, int ret)
{
	__u64 key = (__u64)state;
	struct nf_call *call = bpf_map_lookup_elem(&calls, &key);

	if (!call)
		return 0;
	ended(ctx, call, ret);
	bpf_map_delete_elem(&calls, &key);
	return 0;
}

SEC("kprobe/nf_hook_slow")
int BPF_KPROBE(begin_kprobe, struct sk_buff *skb, struct nf_hook_state *state)
{
	__u64 key = call_place(ctx);
	struct nf_call call = {};

	if (!read_call(&call, state, false))
		return 0;
	call.begun_ns = bpf_ktime_get_ns();
	call_keep(&calls, &key, &call);
	return 0;
}

SEC("kretprobe/nf_hook_slow")
int BPF_KRETPROBE(end_kretprobe, int ret)
{
	__u64 key = call_return_place(ctx);
	struct nf_call *call = bpf_map_lookup_elem(&calls, &key);

	if (!call)
		return 0;
	ended(ctx, call, ret);
	bpf_map_delete_elem(&calls, &key);
	return 0;
}
