// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of open(2) flags on the command line.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace corebox
{

struct OpenFlag {
    std::uint32_t bits = 0;
    // O_RDONLY is no bit and cannot be filtered for.
    static std::string parse(std::string_view name, OpenFlag& out);
};

} // namespace corebox
