/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/conn.h"
#include "abi/event_stacks.h"
#include "abi/sock_owner.h"
#include "../netfilter.h"

#define SKB_IFNAME 16 /* IFNAMSIZ */
#define SKB_CAPTURE 2048 /* bytes of a packet at most */
#define SKB_ARGUMENTS 5 /* a sk_buff is looked for among as many of a function's first */

/* Where packets are seen, in the order of a way through a host. */
enum skb_hook {
	SKB_QUEUE,    /* net_dev_queue: handed to a device, which may have a queue */
	SKB_TRANSMIT, /* net_dev_start_xmit: handed to its driver */
	SKB_RX,       /* netif_rx: came from a virtual device */
	SKB_RECEIVE,  /* netif_receive_skb: enters the protocols */
	SKB_READ,     /* skb_copy_datagram_iovec: a process reads it */
	SKB_UDP_READ, /* skb_consume_udp: a process has read it */
	SKB_DROP,     /* kfree_skb */
	SKB_DONE,     /* consume_skb */
	SKB_NETFILTER, /* nf_hook_slow returns: what its hook functions decided */
	SKB_FUNCTION, /* deep mode: a function that has the packet as an argument */
	SKB_HOOKS,
};

enum skb_stack {
	SKB_STACK_NONE,
	SKB_STACK_DROPS,
	SKB_STACK_ALL,
};

/* Deep mode: functions have the sk_buff as argument i from number first[i] on, and those below `ends` free
 * it. */
struct skb_functions {
	__u16 first[SKB_ARGUMENTS];
	__u16 ends;
};

struct skbtrace_config {
	__u64 ifname[2]; /* first 0: any */
	__u32 mark, mark_mask;
	__u16 icmp_id;
	__u8 by_icmp_id, by_mark, by_protocol;
	__u8 protocol;
	__u8 stack; /* enum skb_stack */
	__u8 is_deep;
	/* Of kprobe.multi, and the short list. */
	struct skb_functions all, few;
	struct nf_offsets nf;
	__u16 capture; /* bytes of each packet that are sent; 0: only hops are of interest */
	__u8 by_expression;
	__u8 unused[5];
};

struct skb_event {
	__u64 time_ns;
	__u64 span_ns;  /* since the packet was last seen; 0: it is seen first */
	__u64 packet;   /* its number */
	__u64 skb;      /* address */
	__u64 location; /* in the kernel's code, of a drop, and of an end where the kernel tells; else 0 */
	struct conn conn; /* from the packet: laddr and lport are the source, raddr and rport the
			   * destination; family 0: not IP */
	__u32 bytes;      /* from its network header on */
	__u32 mark;
	__u32 ifindex;
	__u32 reason; /* enum skb_drop_reason; 0: none is known */
	char ifname[SKB_IFNAME]; /* empty: not known */
	struct sock_owner owner;
	__u16 ethertype; /* in host order */
	__u16 icmp_id;
	__u8 icmp_type, icmp_code;
	__u8 tcp_flags;
	__u8 ttl;
	__u8 hook;     /* enum skb_hook */
	__u8 has_echo; /* icmp_id is one */
	__u16 function; /* of SKB_FUNCTION: its number and 1 */
	__u16 captured, capture_at; /* bytes of the packet, and where in the record they are */
	union {
		struct nf_decision netfilter; /* of SKB_NETFILTER */
		struct event_stacks stacks;     /* of others: as much as there is */
	};
};
