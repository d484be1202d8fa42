// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/aggregate.bpf.h"
#include "bpf/where.bpf.h"
#include "netqtop.h"

const volatile struct netqtop_config cfg = {};

/* User space sets the size: a device has so many queues. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct netq_key);
	__type(value, struct netq_counts);
} queues SEC(".maps");

static const struct netq_counts no_packets;

static __always_inline int size_class(__u32 bytes)
{
	return bytes < 64 ? 0 : bytes < 512 ? 1 : bytes < 2048 ? 2 : bytes < 16384 ? 3 : 4;
}

static __always_inline int packet(const struct sk_buff *skb, const struct net_device *dev,
				  bool received, bool direct)
{
	struct netq_event e = { .received = received };
	struct netq_key key = { .generation = cb_generation, .received = received };
	struct netq_counts *counts;
	__u32 bytes;

	if ((__u32)READ_FIELD(direct, dev, ifindex) != cfg.ifindex ||
	    BPF_CORE_READ(dev, nd_net.net, ns.inum) != cfg.netns)
		return 0;
	key.queue = READ_FIELD(direct, skb, queue_mapping);
	/* Received: one more than the number, 0 where the driver did not say. */
	if (received && key.queue)
		key.queue--;
	bytes = READ_FIELD(direct, skb, len);
	e.bytes = bytes;
	e.queue = key.queue;
	if (!where_holds(NULL, &e, sizeof(e)))
		return 0;
	counts = find_or_insert(&queues, &key, &no_packets);
	if (!counts)
		return 0;
	/* With bottom halves off: nothing else counts on this CPU meanwhile. */
	counts->packets++;
	counts->bytes += bytes;
	if (bytes < 65536)
		counts->sizes[size_class(bytes)]++;
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(xmit_tp_btf, const struct sk_buff *skb, const struct net_device *dev)
{
	return packet(skb, dev, false, true);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(receive_tp_btf, struct sk_buff *skb)
{
	return packet(skb, skb->dev, true, true);
}

SEC("raw_tp/net_dev_start_xmit")
int xmit_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return packet((struct sk_buff *)ctx->args[0], (struct net_device *)ctx->args[1], false, false);
}

SEC("raw_tp/netif_receive_skb")
int receive_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct sk_buff *skb = (struct sk_buff *)ctx->args[0];

	return packet(skb, BPF_CORE_READ(skb, dev), true, false);
}
