// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How many threads tools of this area have places for.
#pragma once
#include "base/text.hpp"
#include <algorithm>
#include <bit>

namespace corebox
{

// As many as the kernel gives out numbers, a power of two, and not more than `most`. The default is
// what 2 MB have room for; systemd's pid_max of 4194304 would ask for 32.
inline std::uint32_t thread_slots(std::uint32_t most = 1 << 18)
{
    std::string pid_max = read_file("/proc/sys/kernel/pid_max").value_or("");
    pid_max.resize(std::min(pid_max.find('\n'), pid_max.size()));
    return std::min(std::bit_ceil(to_number<std::uint32_t>(pid_max).value_or(most)), most);
}

} // namespace corebox
