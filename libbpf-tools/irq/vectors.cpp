// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vectors.hpp"
#include "base/text.hpp"
#include <algorithm>

namespace corebox
{

std::vector<std::string> parse_softirq_names(std::string_view text)
{
    std::vector<std::string> names;
    for (std::string_view line : split(text, '\n')) {
        const auto colon = line.find(':');
        if (colon == line.npos) // the CPUs
            continue;
        line = line.substr(0, colon);
        std::string name(line.substr(std::min(line.find_first_not_of(' '), line.size())));
        std::ranges::transform(name, name.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
        names.push_back(std::move(name));
    }
    return names;
}

std::vector<std::string> softirq_names()
{
    return parse_softirq_names(read_file("/proc/softirqs").value_or(""));
}

} // namespace corebox
