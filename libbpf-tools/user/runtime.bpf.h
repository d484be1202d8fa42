/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reads what probes of runtimes say. What `cb_names` holds comes from the table in runtime.cpp. */
#pragma once
#include "bpf/usdt.bpf.h"
#include "runtime.h"

const volatile struct runtime_arguments cb_names = {};

/* The program is not believed: neither that a pointer leads somewhere, nor that a length is small. */
static __always_inline __u16 runtime_text(char *to, __u32 room, __u64 from, bool has_length,
					  __u64 length)
{
	__u64 n = length > room ? room : length;
	long read;

	if (!has_length) {
		read = bpf_probe_read_user_str(to, room, (void *)from);
		if (read <= 0)
			return 0;
		/* Full to the brim: there was more, or just that much. */
		if (read == room) {
			char next = 0;

			bpf_probe_read_user(&next, 1, (void *)(from + room - 1));
			if (next)
				return room + 1;
		}
		return read - 1;
	}
	/* The verifier has to see the bound of the very register that the helper gets. */
	asm volatile("" : "+r"(n));
	if (!n || n > room || bpf_probe_read_user(to, n, (void *)from))
		return 0;
	return length > 0xffff ? 0xffff : length;
}

static __always_inline __u16 runtime_argument_text(struct pt_regs *ctx, char *to, __u32 room,
						   __u8 text, __u8 text_length)
{
	__u64 from, length = 0;

	if (text == RUNTIME_NO_ARGUMENT || !usdt_arg(ctx, text, &from) || !from)
		return 0;
	if (text_length == RUNTIME_NO_ARGUMENT)
		return runtime_text(to, room, from, false, 0);
	/* A length is an int. */
	if (!usdt_arg(ctx, text_length, &length) || (__s64)length < 0)
		return 0;
	return runtime_text(to, room, from, true, length);
}

/* Of a USDT probe. `name` is zeroed. */
static __always_inline void runtime_read_name(struct pt_regs *ctx, struct runtime_name *name)
{
	name->klass_length = runtime_argument_text(ctx, name->klass, RUNTIME_CLASS, cb_names.klass,
						   cb_names.klass_length);
	name->method_length = runtime_argument_text(ctx, name->method, RUNTIME_METHOD,
						    cb_names.method, cb_names.method_length);
}
