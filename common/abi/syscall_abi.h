/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A system call as a number among those of all ABIs that the machine has. */
#pragma once
#include "abi/types.h"

enum syscall_abi {
	SYSCALL_NATIVE,
	SYSCALL_32BIT, /* 32-bit programs: i386 (and int 0x80 in any), on arm64 arm */
	SYSCALL_X32,
	SYSCALL_ABIS,
};

#define SYSCALLS_PER_ABI 640 /* x32 goes up to 547, the others to 471 (7.2) */
#define SYSCALL_SLOT(abi, nr) ((abi) * SYSCALLS_PER_ABI + (nr))
#define SYSCALL_SLOT_OTHER (SYSCALL_ABIS * SYSCALLS_PER_ABI) /* a number beyond all tables */
#define SYSCALL_SLOTS 2048 /* a power of two */
