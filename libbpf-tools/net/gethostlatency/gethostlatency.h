/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

#define RESOLVE_HOST_LEN 256   /* a name of DNS has at most 253 bytes */
#define RESOLVE_SERVICE_LEN 32 /* as NI_MAXSERV, netdb.h */
#define RESOLVE_THREADS 8192   /* that wait for an answer */

struct resolve_config {
	__u32 res_h_errno; /* its place in struct __res_state, resolv.h */
};

/* In the order of kSymbols. */
enum resolve_function {
	RESOLVE_GETADDRINFO,
	RESOLVE_GETNAMEINFO,
	RESOLVE_GETHOSTBYNAME,
	RESOLVE_GETHOSTBYNAME2,
	RESOLVE_GETHOSTBYNAME_R,
	RESOLVE_GETHOSTBYNAME2_R,
	RESOLVE_GETHOSTBYADDR,
	RESOLVE_GETHOSTBYADDR_R,
	RESOLVE_RES_QUERY,
	RESOLVE_RES_SEARCH,
	RESOLVE_RES_QUERYDOMAIN,
	RESOLVE_RES_NQUERY,
	RESOLVE_RES_NSEARCH,
	RESOLVE_RES_NQUERYDOMAIN,
	RESOLVE_FUNCTIONS,
	RESOLVE_NAMES = 2 * RESOLVE_FUNCTIONS - RESOLVE_RES_QUERY, /* and __res_query, ... */
};

/* What `code` is. */
enum resolve_error {
	RESOLVE_OK,
	RESOLVE_EAI,       /* of getaddrinfo(3) */
	RESOLVE_H_ERRNO,   /* of gethostbyname(3) */
	RESOLVE_ERRNO,     /* of gethostbyname_r(3): the buffer is too small */
	RESOLVE_FAILED,    /* there is none to be read */
	RESOLVE_NO_RETURN, /* the thread has ended, or left the function by longjmp(3) */
	RESOLVE_ERRORS,
};

/* None: 0. */
struct resolve_address {
	__u16 family;
	__u8 bytes[16];
};

struct resolve_event {
	struct task_info task; /* as the call ends */
	__s32 code;             /* what `error` says */
	__u64 lat_ns;           /* 0: it did not return */
	__u8 function;
	__u8 error;
	__u16 host_len;       /* with the final 0; 0: there is no name */
	__u16 service_len;
	__u16 result_len;
	__u32 answer_bytes;   /* of res_query(3) */
	struct resolve_address asked, found;
	char service[RESOLVE_SERVICE_LEN];
	char host[RESOLVE_HOST_LEN];
	char result[RESOLVE_HOST_LEN]; /* only where there is one */
};
