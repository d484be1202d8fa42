// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once
#include <string_view>

namespace corebox
{
inline constexpr std::string_view kVersion = "0.1.0";
inline constexpr std::string_view kReleased = "2026-11-20"; // the date of man pages
} // namespace corebox
