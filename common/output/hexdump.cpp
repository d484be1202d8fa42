// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/hexdump.hpp"
#include <algorithm>
#include <cstdint>

namespace corebox
{

void put_hexdump(std::string& text, std::string_view data)
{
    constexpr std::size_t kLine = 16, kWidth = 4 + kLine / 2 * 5 + 1;
    constexpr std::string_view kDigits = "0123456789abcdef";
    while (!data.empty()) {
        const std::string_view line = data.substr(0, kLine);
        const std::size_t start = text.size();
        text += "    ";
        for (std::size_t i = 0; i < line.size(); i++) {
            const auto byte = std::uint8_t(line[i]);
            text += kDigits[byte >> 4];
            text += kDigits[byte & 15];
            if (i % 2)
                text += ' ';
        }
        text.append(kWidth - (text.size() - start), ' ');
        for (const char c : line)
            text += c >= ' ' && c <= '~' ? c : '.';
        text += '\n';
        data.remove_prefix(line.size());
    }
}

} // namespace corebox
