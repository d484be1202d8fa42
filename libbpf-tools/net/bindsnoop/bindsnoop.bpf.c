// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/sock.bpf.h"
#include "bpf/syscall.bpf.h"
#include "bpf/top.bpf.h"
#include "bindsnoop.h"

const volatile struct bindsnoop_config cfg = {};

TOP(struct bind_key, __u64, 10240)

struct bind {
	struct sock *sk;
	void *address; /* in the kernel: struct sockaddr, since 7.0 sockaddr_unsized */
	int len;
};
SYSCALL_ARGS(struct bind)

/* v6.6 (c274af224269) moved the options into inet_flags; the numbers of their bits are those of
 * an enum without a name (include/net/inet_sock.h), the same from there to 7.2. */
struct inet_sock___pre_v6_6 {
	__u8 freebind : 1;
	__u8 transparent : 1;
	__u8 bind_address_no_port : 1;
} __attribute__((preserve_access_index));

struct inet_sock___v6_6 {
	unsigned long inet_flags;
} __attribute__((preserve_access_index));

#define FREEBIND_BIT 11
#define TRANSPARENT_BIT 15
#define NO_PORT_BIT 18

static __always_inline __u8 options_of(struct sock *sk, bool direct)
{
	struct inet_sock___pre_v6_6 *old = (void *)sk;
	struct inet_sock___v6_6 *now = (void *)sk;
	__u8 options = 0;

	if (bpf_core_field_exists(now->inet_flags)) {
		unsigned long flags = BPF_CORE_READ(now, inet_flags);

		options |= (flags >> FREEBIND_BIT & 1) << BIND_FREEBIND;
		options |= (flags >> TRANSPARENT_BIT & 1) << BIND_TRANSPARENT;
		options |= (flags >> NO_PORT_BIT & 1) << BIND_NO_PORT;
	} else {
		options |= BPF_CORE_READ_BITFIELD_PROBED(old, freebind) << BIND_FREEBIND;
		options |= BPF_CORE_READ_BITFIELD_PROBED(old, transparent) << BIND_TRANSPARENT;
		options |= BPF_CORE_READ_BITFIELD_PROBED(old, bind_address_no_port) << BIND_NO_PORT;
	}
	options |= (direct ? BPF_CORE_READ_BITFIELD(sk, __sk_common.skc_reuse) :
			     BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse)) ?
			   1 << BIND_REUSEADDR :
			   0;
	options |= (direct ? BPF_CORE_READ_BITFIELD(sk, __sk_common.skc_reuseport) :
			     BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport)) ?
			   1 << BIND_REUSEPORT :
			   0;
	return options;
}

/* What was asked for: a socket whose bind failed has nothing of it. False: it is too short, or no
 * address of the Internet. */
static __noinline bool read_request(struct bind_event *e, void *address, int len)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	__u32 *laddr;

	if (!e)
		return false;
	laddr = (__u32 *)e->conn.laddr;
	__builtin_memset(e->conn.laddr, 0, sizeof(e->conn.laddr));
	e->conn.lport = 0;
	if (len < (int)sizeof(v4) || bpf_probe_read_kernel(&v4, sizeof(v4), address))
		return false;
	e->conn.lport = bpf_ntohs(v4.sin_port);
	if (v4.sin_family != CONN_IPV6) {
		e->conn.family = CONN_IPV4;
		laddr[0] = v4.sin_addr.s_addr;
		return v4.sin_family == CONN_IPV4 || v4.sin_family == 0;
	}
	/* RFC 2133's, without the scope: SIN6_LEN_RFC2133 is what the kernel takes. */
	if (len < (int)offsetof(struct sockaddr_in6, sin6_scope_id) ||
	    bpf_probe_read_kernel(&v6, offsetof(struct sockaddr_in6, sin6_scope_id), address))
		return false;
	e->conn.family = CONN_IPV6;
	conn_addr_v6(e->conn.laddr, &v6.sin6_addr, true);
	if (is_v4_mapped(laddr)) {
		e->conn.family = CONN_IPV4;
		laddr[0] = laddr[3];
		laddr[1] = laddr[2] = laddr[3] = 0;
	}
	return true;
}

static __noinline int count(struct bind_event *e)
{
	struct bind_key key = {};
	__u64 *n;
	bool made;

	if (!e || !where_holds(NULL, e, sizeof(*e)))
		return 0;
	key.conn = e->conn;
	n = top_entry(&key, &made);
	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

static __always_inline int report(void *ctx, const struct bind *b, struct sock *sk, int ret,
				  bool direct)
{
	struct bind_event e = {};

	if (!asked_for(cfg.errors || !ret) || !filter_running(direct))
		return 0;
	if (!conn_read(&e.conn, sk, direct))
		return 0;
	e.type = READ_FIELD(direct, sk, sk_type);
	/* A raw socket keeps its protocol where others have their port. */
	if (e.type == BIND_SOCK_RAW)
		e.conn.lport = 0;
	e.has_address = !ret || read_request(&e, b->address, b->len);
	if (!asked_for(conn_wanted(&e.conn)))
		return 0;
	task_info_read(&e.task, direct);
	e.ret = ret;
	e.interface = READ_FIELD(direct, sk, __sk_common.skc_bound_dev_if);
	e.options = options_of(sk, direct);
	if (cfg.counts)
		return count(&e);
	event_output(ctx, &e, sizeof(e));
	return 0;
}

#define BIND_SK_FEXIT(function, program)                                                    \
	SEC("fexit/" #function)                                                             \
	int BPF_PROG(program, struct sock *sk, void *address, int len, int ret)             \
	{                                                                                   \
		struct bind b = { sk, address, len };                                       \
                                                                                            \
		return report(ctx, &b, sk, ret, true);                                      \
	}
BIND_SK_FEXIT(inet_bind_sk, bind_sk_fexit)
BIND_SK_FEXIT(inet6_bind_sk, bind6_sk_fexit)

#define BIND(function, fexit, kprobe, kretprobe)                                            \
	SEC("fexit/" #function)                                                             \
	int BPF_PROG(fexit, struct socket *socket, void *address, int len, int ret)         \
	{                                                                                   \
		struct bind b = { socket->sk, address, len };                               \
                                                                                            \
		return report(ctx, &b, socket->sk, ret, true);                              \
	}                                                                                   \
	SEC("kprobe/" #function)                                                            \
	int BPF_KPROBE(kprobe, struct socket *socket, void *address, int len)               \
	{                                                                                   \
		struct bind b = { BPF_CORE_READ(socket, sk), address, len };                \
                                                                                            \
		args_keep(&b);                                                              \
		return 0;                                                                   \
	}                                                                                   \
	SEC("kretprobe/" #function)                                                         \
	int BPF_KRETPROBE(kretprobe, int ret)                                               \
	{                                                                                   \
		struct bind b;                                                              \
                                                                                            \
		return args_take(&b) ? report(ctx, &b, b.sk, ret, false) : 0;               \
	}
BIND(inet_bind, bind_fexit, bind_kprobe, bind_kretprobe)
BIND(inet6_bind, bind6_fexit, bind6_kprobe, bind6_kretprobe)
