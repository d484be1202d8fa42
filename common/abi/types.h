/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fixed-width types for structs that cross the kernel/user boundary. */
#pragma once
#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#define COMM_LEN 16
#define PATH_LEN 4096
