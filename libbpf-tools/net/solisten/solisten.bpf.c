// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/sock.bpf.h"
#include "bpf/syscall.bpf.h"
#include "solisten.h"

struct listening {
	struct socket *socket;
	struct sock *sk; /* NULL: the call has not come that far, or is not traced */
	int backlog;     /* as asked for */
	__u16 family;
};
SYSCALL_ARGS(struct listening)

/* Of vsock, a module: struct vsock_sock begins with a struct sock and a pointer, and then has the
 * local address (include/net/af_vsock.h, v5.10 to v7.2). */
struct vsock_address {
	__u16 family, reserved;
	__u32 port, cid;
};

static __always_inline void read_unix(struct listen_event *e, struct sock *sk)
{
	struct unix_address *address = BPF_CORE_READ((struct unix_sock *)sk, addr);
	int len = address ? BPF_CORE_READ(address, len) : 0;

	/* The length is with the family before it, and perhaps with a NUL behind it. */
	len -= sizeof(__u16);
	if (len <= 0)
		return;
	if (len > UNIX_PATH_MAX)
		len = UNIX_PATH_MAX;
	if (!bpf_probe_read_kernel(e->path, len & 127,
				   (void *)address + bpf_core_field_offset(address->name) +
					   sizeof(__u16)))
		e->path_len = len;
}

static __always_inline void read_vsock(struct listen_event *e, struct sock *sk)
{
	struct vsock_address address = {};

	bpf_probe_read_kernel(&address, sizeof(address),
			      (void *)sk + bpf_core_type_size(struct sock) + sizeof(void *));
	e->port = address.port;
	e->cid = address.cid;
}

static __always_inline void read_socket(struct listen_event *e, const struct listening *l)
{
	struct sock *sk = l->sk;

	/* Another thread has closed it meanwhile. */
	if (!sk || BPF_CORE_READ(sk, sk_socket) != l->socket)
		return;
	e->has_conn = true;
	e->type = BPF_CORE_READ(sk, sk_type);
	e->limit = BPF_CORE_READ(sk, sk_max_ack_backlog);
	if (conn_read(&e->conn, sk, false))
		return;
	__builtin_memset(&e->conn, 0, sizeof(e->conn));
	e->conn.family = l->family;
	e->conn.protocol = BPF_CORE_READ(sk, sk_protocol);
	e->conn.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (l->family == LISTEN_UNIX)
		read_unix(e, sk);
	else if (l->family == LISTEN_VSOCK)
		read_vsock(e, sk);
}

static __always_inline int begin(struct socket *socket, struct sock *sk)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct listening *kept, l = {};

	if (!filter_current())
		return 0;
	l.socket = socket;
	l.sk = sk;
	l.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	kept = bpf_map_lookup_elem(&cb_args, &tid);
	if (kept) { /* by asked_kprobe */
		l.backlog = kept->backlog;
		*kept = l;
	} else {
		args_keep(&l);
	}
	return 0;
}

/* A record's size depends on the family, so that only few need room for a path. */
static __always_inline int finish(void *ctx, struct listening *l, int ret, bool typed)
{
	struct listen_event e = {};

	e.conn.family = l->family;
	e.backlog = l->backlog;
	e.ret = ret;
	read_socket(&e, l);
	if (!asked_for(conn_wanted(&e.conn)))
		return 0;
	task_info_read(&e.task, typed);
	event_output(ctx, &e,
		     l->family == LISTEN_UNIX ? sizeof(e) : offsetof(struct listen_event, path));
	return 0;
}

/* The one place that all families pass, the refused ones too; what follows is a function of the
 * family, often in a module. Its backlog is cut to somaxconn already. */
SEC("fentry/security_socket_listen")
int BPF_PROG(begin_fentry, struct socket *socket)
{
	return begin(socket, socket->sk);
}

SEC("kprobe/security_socket_listen")
int BPF_KPROBE(begin_kprobe, struct socket *socket)
{
	return begin(socket, BPF_CORE_READ(socket, sk));
}

static __always_inline int finish_fexit(void *ctx, int backlog, int ret)
{
	struct listening l;

	if (!args_take(&l))
		return 0;
	l.backlog = backlog;
	return finish(ctx, &l, ret, true);
}

SEC("fexit/__sys_listen")
int BPF_PROG(end_fexit, int fd, int backlog, int ret)
{
	return finish_fexit(ctx, backlog, ret);
}

/* io_uring's (6.11); __sys_listen() calls it too, unless it is inlined there. */
SEC("fexit/__sys_listen_socket")
int BPF_PROG(uring_fexit, struct socket *socket, int backlog, int ret)
{
	return finish_fexit(ctx, backlog, ret);
}

SEC("kprobe/__sys_listen")
int BPF_KPROBE(asked_kprobe, int fd, int backlog)
{
	struct listening l = { .backlog = backlog };

	args_keep(&l);
	return 0;
}

SEC("kretprobe/__sys_listen")
int BPF_KRETPROBE(end_kretprobe, int ret)
{
	struct listening l;

	return args_take(&l) && l.sk ? finish(ctx, &l, ret, false) : 0;
}
