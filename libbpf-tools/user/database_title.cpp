// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "database_title.hpp"
#include <algorithm>
#include <array>

namespace corebox
{
namespace
{

// "[local]", "192.0.2.7(40112)", "db.example(40112)".
bool is_client(std::string_view word)
{
    if (word == "[local]")
        return true;
    const auto open = word.rfind('(');
    if (open == 0 || open == word.npos || !word.ends_with(')'))
        return false;
    const std::string_view port = word.substr(open + 1, word.size() - open - 2);
    return !port.empty() && std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

DatabaseTitle parse_database_title(std::string_view title)
{
    constexpr std::string_view kStart = "postgres: ";
    if (!title.starts_with(kStart))
        return {};
    title.remove_prefix(kStart.size());
    // The setting cluster_name stands before the rest.
    if (const auto cluster = title.find(": "); cluster != title.npos)
        title.remove_prefix(cluster + 2);
    std::array<std::string_view, 3> words;
    for (std::string_view& word : words) {
        const auto end = title.find(' ');
        if (end == title.npos)
            return {};
        word = title.substr(0, end);
        title.remove_prefix(end + 1);
    }
    if (words[0].empty() || words[1].empty() || !is_client(words[2]))
        return {};
    return {words[0], words[1], words[2]};
}

} // namespace corebox
