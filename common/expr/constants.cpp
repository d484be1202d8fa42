// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/constants.hpp"

namespace corebox::expr
{

std::optional<std::int64_t> uapi_constant(std::string_view) { return std::nullopt; }

} // namespace corebox::expr
