// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The address of a lock on the command line: hexadecimal, with or without 0x, as BCC takes it.
#pragma once
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace corebox
{

struct LockAddress {
    std::uint64_t value = 0; // 0: none was given

    static std::string parse(std::string_view text, LockAddress& out)
    {
        if (text.starts_with("0x") || text.starts_with("0X"))
            text.remove_prefix(2);
        const auto [end, error] =
            std::from_chars(text.data(), text.data() + text.size(), out.value, 16);
        const bool is_number = error == std::errc() && end == text.data() + text.size();
        return is_number && out.value ? "" : "a hexadecimal address, such as 0x7f3c10002080";
    }
};

} // namespace corebox
