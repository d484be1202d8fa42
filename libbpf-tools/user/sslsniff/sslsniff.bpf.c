// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../tls.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/path.bpf.h"
#include "bpf/sock.bpf.h"
#include "sslsniff.h"

const volatile struct sslsniff_config tls_cfg = {};

/* Of a kernel without ring buffers. Programs at user probes may be preempted, so that another runs on
 * this CPU: it does not get the place. */
#define SCRATCH_DATA 16384
struct scratch {
	__u32 busy, pad;
	struct tls_event event;
	char data[SCRATCH_DATA];
};
EVENT_SCRATCH(struct scratch, 1)

/* BIO_TYPE_SOURCE_SINK and BIO_TYPE_DESCRIPTOR, openssl/bio.h: `num` is a descriptor. */
#define BIO_OF_DESCRIPTOR 0x500

/* The objects of OpenSSL say themselves what they are. SSL begins with the version of the protocol, or
 * from 3.2 on with a type that is 0. A BIO begins with its method, from 3.0 on behind its library
 * context; a method begins with its type. Offsets: 1.1.1 to 3.6. */
static __always_inline int openssl_fd(__u64 ssl)
{
	__u64 bio = tls_word(ssl, tls_int(ssl, 0) ? 0x10 : 0x50);

	if ((tls_int(tls_word(bio, 8), 0) & ~0xff) == BIO_OF_DESCRIPTOR)
		return tls_int(bio, 0x38);
	if ((tls_int(tls_word(bio, 0), 0) & ~0xff) == BIO_OF_DESCRIPTOR)
		return tls_int(bio, 0x30);
	return -1;
}

/* The lowest layer is NSPR's own, of which the type is that of a socket (prio.h). */
#define PR_DESC_SOCKET_TCP 2
#define NSPR_LAYERS 4

static __always_inline int nspr_fd(__u64 descriptor)
{
	__u64 lower;

	for (int i = 0; i < NSPR_LAYERS; i++) {
		lower = tls_word(descriptor, NSPR_LOWER);
		if (!lower)
			break;
		descriptor = lower;
	}
	if (tls_int(tls_word(descriptor, 0), 0) != PR_DESC_SOCKET_TCP)
		return -1;
	return tls_int(tls_word(descriptor, NSPR_SECRET), 0x1c);
}

/* Inline, as all that branches on what lies on the stack here: where_holds() says what goes wrong in a
 * function of its own before 6.8. */
static __always_inline void find_conn(struct tls_event *e)
{
	struct file *file = NULL;
	struct socket *socket;
	struct sock *sk;
	int fd = -1;

	if (e->function <= TLS_SSL_DO_HANDSHAKE)
		fd = openssl_fd(e->session);
	else if (e->function >= TLS_PR_READ)
		fd = nspr_fd(e->session);
	if (fd >= 0)
		file = path_file(fd);
	if (!file)
		return;
	e->fd = fd;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (sk && !conn_read(&e->conn, sk, false))
		e->conn.family = 0;
}

/* PRIOVec, prio.h. */
struct piece {
	__u64 base;
	__s32 len, pad;
};
#define PIECES_MOST 8

/* Copies what a writev has in several places, at most `n` bytes, to memory of twice `half` bytes. The
 * number of bytes. */
static __always_inline __u32 copy_pieces(char *to, __u32 half, __u64 pieces, __u32 count, __u32 n)
{
	__u32 at = 0;

	for (__u32 i = 0; i < PIECES_MOST; i++) {
		struct piece piece;
		__u32 len;

		if (i >= count || at >= n || at >= half ||
		    bpf_probe_read_user(&piece, sizeof(piece), (void *)(pieces + i * sizeof(piece))))
			break;
		len = piece.len < 0 ? 0 : piece.len;
		if (len > n - at)
			len = n - at;
		if (len > half)
			len = half;
		if (bpf_probe_read_user(to + at, len, (void *)piece.base))
			break;
		at += len;
	}
	return at;
}

static __always_inline void copy_data(struct tls_event *e, char *to, __u32 room,
				      const struct tls_call *call, bool pieces)
{
	__u32 n = e->captured;

	if (pieces) {
		e->captured = copy_pieces(to, room / 2, call->buffer, call->done,
					  n > room / 2 ? room / 2 : n);
		e->unreadable = !e->captured;
		return;
	}
	if (n > room)
		n = room;
	e->captured = n;
	if (bpf_probe_read_user(to, n, (void *)call->buffer)) {
		e->captured = 0;
		e->unreadable = 1;
	}
}

/* In a record of the ring with `room` bytes for data. That and `pieces` are constants. */
static __always_inline int send_in(const struct tls_event *e, __u32 room,
				   const struct tls_call *call, bool pieces)
{
	struct tls_event *record = event_reserve(sizeof(*record) + room);

	if (!record) {
		__sync_fetch_and_add(&account()->lost_ring, 1);
		return 0;
	}
	*record = *e;
	if (e->captured)
		copy_data(record, (char *)(record + 1), room, call, pieces);
	event_submit(record);
	return 0;
}

static __always_inline int send_ring(const struct tls_event *e, const struct tls_call *call)
{
	if (call->function == TLS_PR_WRITEV)
		return send_in(e, 2 * SCRATCH_DATA, call, true);
	if (e->captured <= 256)
		return send_in(e, 256, call, false);
	if (e->captured <= 1024)
		return send_in(e, 1024, call, false);
	if (e->captured <= 4096)
		return send_in(e, 4096, call, false);
	if (e->captured <= 16384)
		return send_in(e, 16384, call, false);
	if (e->captured <= 65536)
		return send_in(e, 65536, call, false);
	return send_in(e, TLS_DATA_MOST, call, false);
}

static __always_inline int send_perf(void *ctx, const struct tls_event *e,
				     const struct tls_call *call)
{
	struct scratch *s = event_scratch(0);
	__u32 n;

	if (!s)
		return 0;
	if (s->busy) {
		__sync_fetch_and_add(&account()->lost_nested, 1);
		return 0;
	}
	s->busy = 1;
	s->event = *e;
	if (e->captured && call->function == TLS_PR_WRITEV)
		copy_data(&s->event, s->data, SCRATCH_DATA, call, true);
	else if (e->captured)
		copy_data(&s->event, s->data, SCRATCH_DATA, call, false);
	n = s->event.captured;
	if (n <= SCRATCH_DATA)
		event_send(ctx, &s->event, sizeof(s->event) + n);
	s->busy = 0;
	return 0;
}

static __always_inline int tls_done(void *ctx, const struct tls_call *call, __s64 result)
{
	bool handshake = tls_operation_of(call->function) == TLS_HANDSHAKE;
	struct tls_event e = {};

	if (tls_cfg.data_only && (handshake || result <= 0)) {
		count_filtered();
		return 0;
	}
	task_info_current(&e.task);
	e.function = call->function;
	e.lat_ns = time_between(call->start_ns, e.task.time_ns);
	e.result = result;
	e.session = call->session;
	e.fd = -1;
	if (!handshake && result > 0)
		e.captured = result > tls_cfg.most ? tls_cfg.most : result;
	if (tls_cfg.conn)
		find_conn(&e);
	if (!where_holds(ctx, &e, sizeof(e)))
		return 0;
	if (event_needs_ctx())
		return send_perf(ctx, &e, call);
	return send_ring(&e, call);
}
