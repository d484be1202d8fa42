// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Once a tool is attached it only reads, waits and writes: the rest it gives up. A defect in it, or
// a file that it parses, is then worth little to who would use it.
#pragma once
#include "session/session.hpp"

namespace corebox
{

// Drops, for this process and for good, all capabilities that none of the runs needs, which are all
// but
// - CAP_BPF, without which kernels where unprivileged BPF is off let nobody read maps,
// - for tools that name functions (Shared::symbols, Shared::callers) those that let it read other
// processes' files,
//   deleted ones too: CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE, CAP_SYSLOG,
// - CAP_DAC_READ_SEARCH for tools that look at directories again and again (Shared::files),
// - CAP_DAC_OVERRIDE and CAP_FOWNER where a flame graph is to be written, into whose directory
// ever,
// - CAP_KILL where it runs a command, whose end it may have to bring about,
// - for probes in files that processes map later (session/later_files.hpp) those that read other
// processes' files, and CAP_PERFMON where they attach by perf events (CAP_SYS_ADMIN in its place
// for who has no CAP_PERFMON, or where kernel.perf_event_paranoid is above 2); and all system calls
// but those that reading, waiting, writing files and exiting take. New programs cannot be run.
// bpf(2) may no longer load programs, so that those capabilities attach none but what was loaded
// before (only copies of a program that reads USDT arguments are loaded later, on kernels without
// cookies, before 5.15). Says so with --explain. Where the kernel has no seccomp the capabilities
// are all. COREBOX_PRIVILEGES=keep keeps everything; =strict ends the process at a system call that
// is not among them, where it else fails with EPERM (for tests).
void drop_privileges(std::span<const Session* const> sessions);

} // namespace corebox
