// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "rdmaucma.h"
#include <bpf/bpf_endian.h>

/* Types of modules, of which the kernel's own BTF knows nothing. These members have been the first of
 * theirs, in this order, from v5.10 to v7.2 (include/rdma/rdma_cm.h, rdma/rdma_cm.h). */
struct ucma_id {
	void *device, *context, *qp, *event_handler;
	struct __kernel_sockaddr_storage src, dst;
};

struct ucma_cm_event {
	__u32 event;
	__s32 status;
};

static __always_inline void read_address(const struct __kernel_sockaddr_storage *from, __u16 *family,
					 __u8 *addr, __u16 *port)
{
	struct sockaddr_in6 a = {};

	bpf_probe_read_kernel(&a, sizeof(a), from);
	*port = bpf_ntohs(a.sin6_port);
	if (a.sin6_family == CONN_IPV6)
		__builtin_memcpy(addr, &a.sin6_addr, sizeof(a.sin6_addr));
	else if (a.sin6_family == CONN_IPV4)
		*(__u32 *)addr = a.sin6_flowinfo; /* that is where IPv4 has its address */
	else
		return;
	*family = a.sin6_family;
}

static __always_inline int handled(void *ctx, struct ucma_id *id, struct ucma_cm_event *event)
{
	struct ucma_cm_event happened = {};
	struct ucma_event e = { .time_ns = bpf_ktime_get_ns() };

	bpf_probe_read_kernel(&happened, sizeof(happened), event);
	e.event = happened.event;
	e.status = happened.status;
	read_address(&id->src, &e.conn.family, e.conn.laddr, &e.conn.lport);
	read_address(&id->dst, &e.conn.family, e.conn.raddr, &e.conn.rport);
	event_output(ctx, &e, sizeof(e));
	return 0;
}

SEC("fentry/%handler")
int BPF_PROG(event_fentry, void *id, void *event) { return handled(ctx, id, event); }

SEC("kprobe/ucma_event_handler")
int BPF_KPROBE(event_kprobe, void *id, void *event) { return handled(ctx, id, event); }
