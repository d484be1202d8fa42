/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The "helper" that a kprobe.session program calls to know whether it runs at the return: before the
 * program is loaded, user space puts the number of the kernel's function bpf_session_is_return() in
 * its place (probe/session.hpp). No helper will ever have this number. */
#define SESSION_IS_RETURN 0x5e5510
