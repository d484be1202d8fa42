// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// The names of the softirqs by their numbers, in lower case, as the running kernel lists them.
std::vector<std::string> softirq_names();

// The same from the text of /proc/softirqs.
std::vector<std::string> parse_softirq_names(std::string_view text);

} // namespace corebox
