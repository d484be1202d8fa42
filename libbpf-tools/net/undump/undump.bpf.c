// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "undump.h"

#define SOCK_STREAM 1 /* linux/net.h */
#define SOCK_DGRAM 2
#define SOCK_SEQPACKET 5
#define MSG_PEEK 2    /* linux/socket.h */
#define AF_UNIX 1

const volatile struct undump_config cfg = {};

/* Map memory for what the verifier is not to follow, too. */
struct scratch {
	struct undump_event event;
	volatile __u32 at, offset;
};
/* One for each function: they may interrupt each other. */
EVENT_SCRATCH(struct scratch, 5)

enum undump_call {
	CALL_STREAM_SEND,
	CALL_DGRAM_SEND,
	CALL_STREAM_RECV,
	CALL_DGRAM_RECV,
	CALL_PACKET_RECV,
};

struct call_args {
	struct socket *sock;
	struct msghdr *msg;
	__u64 size;
	__u32 flags;
};
/* Calls under way, without fexit: by undump_call and thread. */
HASH_MAP(cb_args, __u64, struct call_args, 4096);

/* 8cd54c1c8480 (v5.14) made `iter_type` of it, with other values; the lowest bit is the direction. */
struct iov_iter___pre_v5_14 {
	unsigned int type;
	const struct iovec *iov;
} __attribute__((preserve_access_index));
#define ITER_IOVEC_PRE_V5_14 4

/* de4f5fed3f23 (v6.4) renamed it. */
struct iov_iter___pre_v6_4 {
	const struct iovec *iov;
} __attribute__((preserve_access_index));

/* The pieces of user memory of a message. */
struct pieces {
	const struct iovec *next; /* NULL: it is one piece */
	__u64 only, offset;
};

/* Where they begin, once a call has gone through `done` bytes of them: as iov_iter_revert(). */
static __always_inline bool rewind(struct scratch *s, struct pieces *pieces, __u64 done)
{
	struct iovec piece;

	s->offset = 0;
	if (done <= pieces->offset) {
		s->offset = pieces->offset - done;
		return true;
	}
	done -= pieces->offset;
	for (int i = 0; i < UNDUMP_SEGMENTS; i++) {
		pieces->next--;
		if (bpf_probe_read_kernel(&piece, sizeof(piece), pieces->next))
			return false;
		if (done <= piece.iov_len) {
			s->offset = piece.iov_len - done;
			return true;
		}
		done -= piece.iov_len;
	}
	return false;
}

/* False: it is no user memory. */
static __always_inline bool find_pieces(struct iov_iter *iter, struct pieces *pieces)
{
	struct iov_iter___pre_v5_14 *older = (void *)iter;
	struct iov_iter___pre_v6_4 *old = (void *)iter;
	__u8 type;

	pieces->offset = BPF_CORE_READ(iter, iov_offset);
	if (bpf_core_field_exists(older->type)) {
		if ((BPF_CORE_READ(older, type) & ~1) != ITER_IOVEC_PRE_V5_14)
			return false;
		pieces->next = BPF_CORE_READ(older, iov);
		return true;
	}
	type = BPF_CORE_READ(iter, iter_type);
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		pieces->only = (__u64)BPF_CORE_READ(iter, ubuf);
		return true;
	}
	if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return false;
	if (bpf_core_field_exists(old->iov))
		pieces->next = BPF_CORE_READ(old, iov);
	else
		pieces->next = BPF_CORE_READ(iter, __iov);
	return true;
}

/* Copies what the call has moved; the number of bytes is in event.data_len. */
static __always_inline void copy_data(struct scratch *s, struct iov_iter *iter, __u64 done)
{
	__u32 want = done < cfg.size ? done : cfg.size;
	struct undump_event *e = &s->event;
	struct pieces pieces = {};
	struct iovec piece;
	__u64 n;
	__u32 at;

	s->at = 0;
	if (!want)
		return;
	if (!find_pieces(iter, &pieces)) {
		e->unreadable = 1;
		return;
	}
	if (!pieces.next) {
		if (want > UNDUMP_DATA_LEN ||
		    bpf_probe_read_user(e->data, want,
					(void *)(pieces.only + pieces.offset - done)))
			e->unreadable = 1;
		else
			s->at = want;
		return;
	}
	if (!rewind(s, &pieces, done)) {
		e->unreadable = 1;
		return;
	}
	for (int i = 0; i < UNDUMP_SEGMENTS; i++) {
		at = s->at;
		if (at >= want || at >= UNDUMP_DATA_LEN ||
		    bpf_probe_read_kernel(&piece, sizeof(piece), pieces.next))
			break;
		n = piece.iov_len - s->offset;
		if (n > want - at)
			n = want - at;
		if (n > UNDUMP_DATA_LEN)
			break;
		if (n && bpf_probe_read_user(e->data + at, n, piece.iov_base + s->offset)) {
			e->unreadable = 1;
			break;
		}
		s->at = at + n;
		s->offset = 0;
		pieces.next++;
	}
}

static __always_inline void read_name(struct undump_event *e, const void *name, int len)
{
	/* Without the family. */
	len -= offsetof(struct sockaddr_un, sun_path);
	if (len <= 0)
		return;
	if (len > UNDUMP_PATH_LEN)
		len = UNDUMP_PATH_LEN;
	if (!bpf_probe_read_kernel(e->path, len, name + offsetof(struct sockaddr_un, sun_path)))
		e->path_len = len;
}

static __always_inline void read_address(struct undump_event *e, struct unix_address *address)
{
	if (address)
		read_name(e, (void *)address + bpf_core_field_offset(address->name),
			  BPF_CORE_READ(address, len));
}

/* The name that a program knows the connection by: where a datagram is sent to, or the socket's own, or
 * the other end's. */
static __always_inline void read_path(struct undump_event *e, struct unix_sock *sk,
				      struct msghdr *msg)
{
	struct sock *peer;

	e->path_len = 0;
	if (e->direction == UNDUMP_SEND && e->type == SOCK_DGRAM && BPF_CORE_READ(msg, msg_name))
		read_name(e, BPF_CORE_READ(msg, msg_name), BPF_CORE_READ(msg, msg_namelen));
	if (!e->path_len)
		read_address(e, BPF_CORE_READ(sk, addr));
	if (e->path_len)
		return;
	peer = BPF_CORE_READ(sk, peer);
	if (peer)
		read_address(e, BPF_CORE_READ((struct unix_sock *)peer, addr));
}

static __always_inline __u32 peer_of(struct sock *sk)
{
	struct pid *pid = BPF_CORE_READ(sk, sk_peer_pid);
	struct upid first = {};

	if (!pid)
		return 0;
	if (cb_filter.pidns)
		return pid_in_namespace(pid);
	bpf_probe_read_kernel(&first, sizeof(first),
			      (void *)pid + bpf_core_field_offset(pid->numbers));
	return first.nr;
}

static __always_inline int moved(void *ctx, enum undump_call call, struct socket *sock, struct msghdr *msg,
				 __u64 size, __u32 flags, long ret)
{
	bool sends = call == CALL_STREAM_SEND || call == CALL_DGRAM_SEND;
	struct undump_event *e;
	struct scratch *s;
	struct sock *sk;
	__u32 len;

	/* Packets are received by a function of their own, which calls that of datagrams or not. */
	if (ret < 0 ||
	    (call == CALL_DGRAM_RECV && BPF_CORE_READ(sock, type) == SOCK_SEQPACKET) ||
	    !filter_current())
		return 0;
	s = event_scratch(call);
	if (!s)
		return 0;
	e = &s->event;
	sk = BPF_CORE_READ(sock, sk);
	e->type = BPF_CORE_READ(sock, type);
	/* Of a stream: the other end is closed; of packets perhaps. */
	if (!ret && !sends && e->type != SOCK_DGRAM)
		return 0;
	e->direction = sends ? UNDUMP_SEND : flags & MSG_PEEK ? UNDUMP_PEEK : UNDUMP_RECV;
	e->unreadable = 0;
	e->bytes = ret;
	e->peer_pid = peer_of(sk);
	read_path(e, (struct unix_sock *)sk, msg);
	task_info_current(&e->task);
	/* MSG_TRUNC: what is returned may be more than there was room for. */
	copy_data(s, __builtin_preserve_access_index(&msg->msg_iter), (__u64)ret < size ? (__u64)ret : size);
	len = s->at;
	e->data_len = len;
	if (len > UNDUMP_DATA_LEN)
		return 0;
	event_output(ctx, e, offsetof(struct undump_event, data) + len);
	return 0;
}

SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(stream_send_fx, struct socket *sock, struct msghdr *msg, size_t size, int ret)
{
	return moved(ctx, CALL_STREAM_SEND, sock, msg, size, 0, ret);
}

/* Packets (SOCK_SEQPACKET) pass through it, too. */
SEC("fexit/unix_dgram_sendmsg")
int BPF_PROG(dgram_send_fx, struct socket *sock, struct msghdr *msg, size_t size, int ret)
{
	return moved(ctx, CALL_DGRAM_SEND, sock, msg, size, 0, ret);
}

SEC("fexit/unix_stream_recvmsg")
int BPF_PROG(stream_recv_fx, struct socket *sock, struct msghdr *msg, size_t size, int flags,
	     int ret)
{
	return moved(ctx, CALL_STREAM_RECV, sock, msg, size, flags, ret);
}

SEC("fexit/unix_dgram_recvmsg")
int BPF_PROG(dgram_recv_fx, struct socket *sock, struct msghdr *msg, size_t size, int flags,
	     int ret)
{
	return moved(ctx, CALL_DGRAM_RECV, sock, msg, size, flags, ret);
}

SEC("fexit/unix_seqpacket_recvmsg")
int BPF_PROG(packet_recv_fx, struct socket *sock, struct msghdr *msg, size_t size, int flags,
	     int ret)
{
	return moved(ctx, CALL_PACKET_RECV, sock, msg, size, flags, ret);
}

static __always_inline int enter(enum undump_call call, struct socket *sock, struct msghdr *msg,
				 __u64 size, __u32 flags)
{
	__u64 key = (__u64)call << 32 | (__u32)bpf_get_current_pid_tgid();
	struct call_args args = { sock, msg, size, flags };

	call_keep(&cb_args, &key, &args);
	return 0;
}

static __always_inline int leave(void *ctx, enum undump_call call, int ret)
{
	__u64 key = (__u64)call << 32 | (__u32)bpf_get_current_pid_tgid();
	struct call_args *args = bpf_map_lookup_elem(&cb_args, &key);

	if (!args)
		return 0;
	moved(ctx, call, args->sock, args->msg, args->size, args->flags, ret);
	bpf_map_delete_elem(&cb_args, &key);
	return 0;
}

#define KPROBES(name, function, call, recv)                                                   \
	SEC("kprobe/" function)                                                               \
	int BPF_KPROBE(name##_kprobe, struct socket *sock, struct msghdr *msg, size_t size,   \
		       int flags)                                                             \
	{                                                                                     \
		return enter(call, sock, msg, size, recv ? flags : 0);                        \
	}                                                                                     \
	SEC("kretprobe/" function)                                                            \
	int BPF_KRETPROBE(name##_kret, int ret)                                               \
	{                                                                                     \
		return leave(ctx, call, ret);                                                 \
	}

KPROBES(ssend, "unix_stream_sendmsg", CALL_STREAM_SEND, false)
KPROBES(dsend, "unix_dgram_sendmsg", CALL_DGRAM_SEND, false)
KPROBES(srecv, "unix_stream_recvmsg", CALL_STREAM_RECV, true)
KPROBES(drecv, "unix_dgram_recvmsg", CALL_DGRAM_RECV, true)
KPROBES(precv, "unix_seqpacket_recvmsg", CALL_PACKET_RECV, true)
