/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

/* Options that the kernel side knows; constant at load time, so unused tests cost nothing. */
struct @name@_config {
	bool no_roots;
};

/* A histogram for each command; the generation is the kit's. */
struct @name@_key {
	__u32 generation;
	char comm[COMM_LEN];
};
