/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A request of io_uring and the results of the functions that carry it out. 5.10+. */
#pragma once
#include "bpf/core.bpf.h"

#define EAGAIN 11          /* it would wait, and comes again from a worker thread */
#define MAX_USER_ERRNO 512 /* beyond are codes inside the kernel: the request goes on */

/* cef216fc32d7 (v5.19): io_kiocb.result became io_kiocb.cqe.res. */
struct io_kiocb___pre_v5_19 {
	__u32 result;
} __attribute__((preserve_access_index));

#define IO_URING_F_COMPLETE_DEFER___pre_v5_19 2
