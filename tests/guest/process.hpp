// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Processes that the tests start: where their output goes, and how they end.
#pragma once
#include <string>
#include <sys/types.h>

namespace corebox::test::process
{

[[noreturn]] void give_up(const std::string& what, int code = 0); // throws, with the errno's text

// A file in memory: who writes to it never waits for a reader.
int memory_file(const char* name);
std::string content(int fd);

bool ended(pid_t pid, int limit_ms); // a child of ours; false: it still runs
int reap(pid_t pid);                 // its exit status, 128 + signal

} // namespace corebox::test::process
