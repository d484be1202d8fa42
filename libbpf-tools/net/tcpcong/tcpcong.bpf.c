// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/hist.bpf.h"
#include "bpf/top.bpf.h"
#include "../tcp_owner.bpf.h"
#include "tcpcong.h"

const volatile struct tcpcong_config cfg = { .unit_ns = 1000000 };

TOP(struct cong_key, struct cong_times, 16384)
HISTS(struct cong_stay_key, 512)
HASH_MAP(live, __u64, struct cong_live, 16384);

#define TCP_CA_LOSS 4 /* enum tcp_ca_state, uapi/linux/tcp.h */

/* When the half that is filled was begun. What a state took before is in the other half: user space
 * adds it to that, for the states that are not over. */
__u64 report_ns = 0;

/* The stay in a state is over, in *l. */
static __always_inline void credit(__u64 socket, struct cong_live *l, __u64 now, bool change)
{
	struct cong_key key = { .socket = socket, .conn = l->conn, .owner = l->owner };
	__u64 from = l->since_ns > report_ns ? l->since_ns : report_ns;
	struct cong_times *times;
	bool made;

	times = top_entry(&key, &made);
	if (!times)
		return;
	if (l->state < CONG_STATES)
		__sync_fetch_and_add(&times->ns[l->state], time_between(from, now));
	if (change)
		__sync_fetch_and_add(&times->changes, 1);
	if (cfg.distributions && change) {
		struct cong_stay_key stay = { .state = l->state };

		hists_count(&stay, time_between(l->since_ns, now), cfg.unit_ns);
	}
}

/* The first change of a connection that was open until then, since nobody knows when. */
static __always_inline void begin(struct sock *sk, __u32 new_state, __u64 now)
{
	struct sock_entry *entry = sock_find(sk);
	__u64 socket = (__u64)sk;
	struct cong_live l = {};

	if (!sock_wanted(entry) || !conn_read(&l.conn, sk, false) ||
	    !asked_for(conn_wanted(&l.conn)))
		return;
	if (entry)
		l.owner = entry->owner;
	l.since_ns = now;
	credit(socket, &l, now, true);
	l.state = new_state;
	if (bpf_map_update_elem(&live, &socket, &l, BPF_ANY))
		count_lost_map();
}

static __always_inline int changed(struct sock *sk, __u32 old_state, __u32 new_state)
{
	__u64 now, socket = (__u64)sk;
	struct cong_live *l;

	if (old_state == new_state)
		return 0;
	now = bpf_ktime_get_ns();
	l = bpf_map_lookup_elem(&live, &socket);
	if (!l) {
		begin(sk, new_state, now);
		return 0;
	}
	credit(socket, l, now, true);
	l->state = new_state;
	l->since_ns = now;
	return 0;
}

static __always_inline __u32 state_of(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED((struct inet_connection_sock *)sk, icsk_ca_state);
}

SEC("tp_btf/tcp_cong_state_set")
int BPF_PROG(changed_tp_btf, struct sock *sk, __u8 state)
{
	return changed(sk, state_of(sk), state);
}

SEC("raw_tp/tcp_cong_state_set")
int changed_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (void *)ctx->args[0];

	return changed(sk, state_of(sk), (__u8)ctx->args[1]);
}

/* Without the tracepoint: what has become of the state. */
static __always_inline int look(struct sock *sk, __u32 state)
{
	__u64 socket = (__u64)sk;
	struct cong_live *l = bpf_map_lookup_elem(&live, &socket);

	return changed(sk, l ? l->state : 0, state);
}

SEC("fexit/tcp_ack")
int BPF_PROG(ack_fexit, struct sock *sk)
{
	return look(sk, state_of(sk));
}

SEC("fexit/tcp_enter_loss")
int BPF_PROG(loss_fexit, struct sock *sk)
{
	return look(sk, state_of(sk));
}

SEC("fexit/tcp_enter_cwr")
int BPF_PROG(cwr_fexit, struct sock *sk)
{
	return look(sk, state_of(sk));
}

SEC("kprobe/tcp_ack")
int BPF_KPROBE(ack_kprobe, struct sock *sk)
{
	return look(sk, state_of(sk));
}

SEC("kprobe/tcp_enter_loss")
int BPF_KPROBE(loss_kprobe, struct sock *sk)
{
	return look(sk, TCP_CA_LOSS);
}

/* What it knows of the owner is with it. */
static __always_inline int ended(struct sock *sk)
{
	__u64 socket = (__u64)sk;
	struct cong_live *l = bpf_map_lookup_elem(&live, &socket);

	if (l) {
		credit(socket, l, bpf_ktime_get_ns(), false);
		bpf_map_delete_elem(&live, &socket);
	}
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(ended_tp_btf, struct sock *sk)
{
	return ended(sk);
}

SEC("raw_tp/tcp_destroy_sock")
int ended_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	return ended((struct sock *)ctx->args[0]);
}
