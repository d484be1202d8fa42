// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What libbpf says while it loads: which program the kernel refused it tells only in its messages.
#pragma once
#include <string>
#include <utility>

namespace corebox
{

// Takes libbpf's messages from here on; `verbose`: prints all of them instead of keeping warnings.
void take_libbpf_log(bool verbose);
void clear_libbpf_log();

// The program of the last message "libbpf: prog 'NAME': ...", and that message; empty: none.
std::pair<std::string, std::string> find_blamed_program();

} // namespace corebox
