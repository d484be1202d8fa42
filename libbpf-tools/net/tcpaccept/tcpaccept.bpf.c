// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/owner.bpf.h"
#include "../tcp.bpf.h"
#include "tcpaccept.h"

/* From which listener a thread accepts: the address of its struct sock. LRU: a call that finds no
 * connection leaves its entry to the next call. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} listeners SEC(".maps");

static __always_inline int accept_called(struct sock *listener)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 value = (__u64)listener;

	bpf_map_update_elem(&listeners, &tid, &value, BPF_ANY);
	return 0;
}

static __always_inline int accepted(void *ctx, struct sock *sk, bool direct)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct accept_event e = {};
	struct sock *listener;
	__u64 *found;

	if (!is_tcp(sk, direct) || !filter_running(direct) || !conn_read(&e.conn, sk, direct) ||
	    !asked_for(conn_wanted(&e.conn)))
		return 0;
	e.time_ns = bpf_ktime_get_ns();
	owner_read(&e.owner, direct);
	e.state = READ_FIELD(direct, sk, __sk_common.skc_state);
	found = bpf_map_lookup_elem(&listeners, &tid);
	if (found) {
		listener = (struct sock *)*found;
		e.has_listener = true;
		e.queued = BPF_CORE_READ(listener, sk_ack_backlog);
		e.backlog = BPF_CORE_READ(listener, sk_max_ack_backlog);
	}
	event_output(ctx, &e, sizeof(e));
	return 0;
}

SEC("fentry/inet_csk_accept")
int BPF_PROG(call_fentry, struct sock *listener)
{
	return accept_called(listener);
}

SEC("kprobe/inet_csk_accept")
int BPF_KPROBE(call_kprobe, struct sock *listener)
{
	return accept_called(listener);
}

/* The accept succeeds; also one that waited when the tool began. */
SEC("fentry/security_sock_graft")
int BPF_PROG(graft_fentry, struct sock *sk)
{
	return accepted(ctx, sk, true);
}

SEC("kprobe/security_sock_graft")
int BPF_KPROBE(graft_kprobe, struct sock *sk)
{
	return accepted(ctx, sk, false);
}

/* Kernels without CONFIG_SECURITY_NETWORK. The result has the same place with every signature. */
SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(call_kretprobe, struct sock *sk)
{
	return sk ? accepted(ctx, sk, false) : 0;
}
