/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers of DNS servers over UDP. skb_consume_udp() comes after every way to receive a packet: read,
 * recv, recvfrom, recvmsg, recvmmsg, io_uring, of IPv4 and of IPv6. The packet is still whole there, so
 * that where the process wanted its bytes does not matter. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"
#include "dns.h"
#include <bpf/bpf_endian.h>

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, DNS_WAITING);
	__type(value, struct dns_answer);
} dns_answers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_answer);
} dns_scratch SEC(".maps");

static __always_inline int dns_received(struct sk_buff *skb)
{
	unsigned char *head = BPF_CORE_READ(skb, head);
	__u32 zero = 0, size;
	struct udphdr udp = {};
	struct dns_answer *a;

	bpf_probe_read_kernel(&udp, sizeof(udp), head + BPF_CORE_READ(skb, transport_header));
	if (udp.source != bpf_htons(DNS_PORT))
		return 0;
	a = bpf_map_lookup_elem(&dns_scratch, &zero);
	if (!a)
		return 0;
	/* The UDP header has been taken off. What a network card left in pages is not read. */
	size = BPF_CORE_READ(skb, len) - BPF_CORE_READ(skb, data_len);
	if (size > DNS_MOST)
		size = DNS_MOST;
	if (bpf_probe_read_kernel(a->data, size, BPF_CORE_READ(skb, data)))
		return 0;
	a->time_ns = bpf_ktime_get_ns();
	a->size = size;
	bpf_map_push_elem(&dns_answers, a, BPF_EXIST);
	return 0;
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(dns_fentry, struct sock *sk, struct sk_buff *skb)
{
	return dns_received(skb);
}

SEC("kprobe/skb_consume_udp")
int BPF_KPROBE(dns_kprobe, struct sock *sk, struct sk_buff *skb)
{
	return dns_received(skb);
}
