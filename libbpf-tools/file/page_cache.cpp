// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "page_cache.hpp"
#include "base/text.hpp"

namespace corebox
{

MemoryUse memory_use()
{
    const auto text = read_file("/proc/meminfo");
    const auto kib = [&](std::string_view key) -> std::uint64_t {
        const auto value = text ? status_field(*text, key) : std::nullopt;
        return value ? to_number<std::uint64_t>(value->substr(0, value->find(' '))).value_or(0) : 0;
    };
    return {kib("Buffers"), kib("Cached")};
}

} // namespace corebox
