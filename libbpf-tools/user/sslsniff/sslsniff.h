/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../tls.h"
#include "abi/conn.h"
#include "abi/task.h"

#define TLS_DATA_MOST (256 << 10) /* of one call */
#define TLS_DATA_DEFAULT 8192     /* BCC's */

struct sslsniff_config {
	__u32 most;     /* bytes of a call that are copied */
	bool data_only; /* not results without data */
	bool conn;      /* descriptor and addresses are shown */
};

struct tls_event {
	struct task_info task;
	__u32 function; /* enum tls_function */
	__u64 lat_ns;
	__s64 result;   /* as the function says; bytes, if it says that it did well */
	__u64 session;
	struct conn conn; /* family 0: not known */
	__s32 fd;         /* -1: not known */
	__u32 captured;   /* bytes of data */
	__u32 unreadable; /* the data could not be copied */
};
