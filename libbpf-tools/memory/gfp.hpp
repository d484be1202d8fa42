// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The flags of an allocation, as the kernel writes them.
#pragma once
#include <cstdint>
#include <string>

namespace corebox
{

// "GFP_KERNEL|__GFP_COMP"; bits that have other meanings on other kernels stay a number.
std::string gfp_text(std::uint32_t flags);

} // namespace corebox
