// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Bytes as people compare them: lines of 16 in hexadecimal, and what of them is text.
#pragma once
#include <string>
#include <string_view>

namespace corebox
{

// "    7069 6e67 0a                              ping." and a line end, for each 16 bytes.
void put_hexdump(std::string& text, std::string_view data);

} // namespace corebox
