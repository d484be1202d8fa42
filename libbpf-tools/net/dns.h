/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An answer of a DNS server, as a process of this host received it. */
#pragma once
#include "abi/types.h"

#define DNS_PORT 53
#define DNS_MOST 1232   /* bytes of an answer: what resolvers ask for (DNS flag day 2020) */
#define DNS_WAITING 256 /* answers that user space has not looked at; older ones make room */

struct dns_answer {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 size;
	__u8 data[DNS_MOST];
};
