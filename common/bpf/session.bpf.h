/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that runs at the entry and at the return of several functions, all attached by one call:
 * for what is rare, since each separate attaching of a function costs as much as the whole rest of a
 * small tool's start. 6.10+ (535a3692ba72); others need a lower rung.
 *
 *	SEC("kprobe.session/io_openat2,vfs_statx")
 *	int name(struct pt_regs *ctx)
 *
 * The functions are attached as far as the kernel has them. bpf_get_attach_cookie(ctx) is the
 * function's place in that list. What the program returns at the entry decides: 0 to be run at the
 * return, 1 not. */
#pragma once
#include "abi/session.h"
#include "bpf/core.bpf.h"

/* 7.0 gave bpf_session_is_return() an argument, which earlier ones ignore. */
static __always_inline bool session_is_return(struct pt_regs *ctx)
{
	return ((long (*)(void *))SESSION_IS_RETURN)(ctx) & 1;
}
