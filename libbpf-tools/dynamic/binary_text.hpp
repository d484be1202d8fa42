// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// trace -B: STRCMP("0x7f,0x45", e) compares bytes, which may be 0, with the memory that e points
// to.
#pragma once
#include <string>
#include <string_view>

namespace corebox
{

// The text of a specification in which each STRCMP() with a list of bytes ("0x7f,69", {0x7f, 69})
// is a comparison of memory. Throws expr::TextError.
std::string compare_bytes(std::string_view spec);

} // namespace corebox
