// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Constants of the system's headers, most of which are macros and so in no type information.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corebox::expr
{

std::optional<std::int64_t> uapi_constant(std::string_view name);
std::vector<std::string> uapi_constant_names();

} // namespace corebox::expr
