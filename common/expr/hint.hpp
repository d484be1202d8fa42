// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// "did you mean": the most similar of known names.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace corebox::expr
{

// "did you mean 'x'?", or nothing where none is similar. `keyword`: stands before the name.
std::string did_you_mean(std::string_view word, std::span<const std::string> known,
                         std::string_view keyword = {});

} // namespace corebox::expr
