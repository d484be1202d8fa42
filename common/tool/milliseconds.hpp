// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once
#include "tool/option.hpp"

namespace corebox
{

// Milliseconds that may have a fraction: "0.5".
struct Milliseconds {
    std::uint64_t ns = 0;

    static std::string parse(std::string_view s, Milliseconds& out)
    {
        Seconds as_seconds{};
        if (!detail::parse_seconds(s, as_seconds).empty())
            return "a number of milliseconds such as 10 or 0.5";
        out.ns = as_seconds.count() / 1000;
        return {};
    }
};

} // namespace corebox
