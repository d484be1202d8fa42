/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Calls of TLS libraries: tls.bpf.h and tls.hpp. */
#pragma once
#include "abi/types.h"

/* In the order of kTlsFunctions (tls.hpp). */
enum tls_function {
	TLS_SSL_READ,
	TLS_SSL_READ_EX,
	TLS_SSL_WRITE,
	TLS_SSL_WRITE_EX,
	TLS_SSL_DO_HANDSHAKE,
	TLS_GNUTLS_RECV,
	TLS_GNUTLS_SEND,
	TLS_GNUTLS_HANDSHAKE,
	TLS_PR_READ,
	TLS_PR_RECV,
	TLS_PR_WRITE,
	TLS_PR_SEND,
	TLS_PR_WRITEV,
	TLS_FORCE_HANDSHAKE,
	TLS_FUNCTIONS,
};

enum tls_operation {
	TLS_READ,
	TLS_WRITE,
	TLS_HANDSHAKE,
	TLS_OPERATIONS,
};

#define TLS_DEPTH 4 /* calls of a thread under way: TLS inside of TLS; a power of two */

/* A call under way. */
struct tls_call {
	__u64 start_ns;
	__u64 session;  /* SSL *, gnutls_session_t, PRFileDesc * */
	__u64 buffer;
	__u64 done;     /* where the number of bytes will be (_ex), or the number of pieces (writev) */
	__u32 place;    /* low half of the address of its return address on the stack */
	__u32 function; /* enum tls_function */
};

/* Those of one thread, the outermost first. */
struct tls_thread {
	__u32 used, pad;
	struct tls_call calls[TLS_DEPTH];
};
