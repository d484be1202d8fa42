// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Signals by name and by number; the same numbers on x86-64 and AArch64 (signal(7)).
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace corebox
{

inline constexpr int kMostSignals = 64;

// "KILL", "RTMIN+3"; "32" and "33" are the C library's own and have no name. Empty: no such signal.
// Valid for ever.
std::string_view signal_name(int number);
// The same with "SIG" before it.
std::string_view signal_full_name(int number);

// "9", "KILL", "SIGKILL", "sigkill", "RTMIN+3", "SIGRTMAX-1"; 0 is a number that kill(2) takes.
std::optional<int> signal_number(std::string_view name);

// "SI_USER", "SEGV_MAPERR": where a signal came from (si_code of sigaction(2)); empty where it has
// no name. Valid for ever.
std::string_view signal_code_name(int signal, int code);

} // namespace corebox
