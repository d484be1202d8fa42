// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/perf_map.hpp"

#include <algorithm>
#include <charconv>

namespace corebox
{
namespace
{

// Takes a hexadecimal number (some JITs write 0x) and the blank behind it.
bool take_hex(std::string_view& line, std::uint64_t& value)
{
    if (line.starts_with("0x"))
        line.remove_prefix(2);
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value, 16);
    if (error != std::errc{} || end == line.data() + line.size() || *end != ' ')
        return false;
    line.remove_prefix(static_cast<std::size_t>(end + 1 - line.data()));
    return true;
}

} // namespace

PerfMap::PerfMap(std::string text) : text_(std::move(text))
{
    std::string_view rest = text_;
    while (!rest.empty()) {
        std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        Entry entry{};
        if (!take_hex(line, entry.start) || !take_hex(line, entry.size) || line.empty())
            continue;
        if (entry.size == 0 || entry.start + entry.size < entry.start)
            continue;
        entry.name = static_cast<std::uint32_t>(line.data() - text_.data());
        entry.length = static_cast<std::uint32_t>(line.size());
        entries_.push_back(entry);
    }
    std::ranges::stable_sort(entries_, {}, &Entry::start);
    std::uint64_t reach = 0;
    for (Entry& entry : entries_) {
        reach = std::max(reach, entry.start + entry.size);
        entry.reach = reach;
    }
}

std::optional<PerfMap::Function> PerfMap::find(std::uint64_t address) const
{
    auto next = std::ranges::upper_bound(entries_, address, {}, &Entry::start);
    const Entry* best = nullptr;
    // Hostile maps could make this walk long; real ones rarely need more than a step.
    for (int steps = 0; next != entries_.begin() && steps < 1000; ++steps) {
        --next;
        if (next->reach <= address)
            break;
        bool holds = address - next->start < next->size;
        // The position in the text is the order of writing.
        if (holds && (best == nullptr || next->name > best->name))
            best = &*next;
    }
    if (best == nullptr)
        return std::nullopt;
    return Function{std::string_view(text_).substr(best->name, best->length), address - best->start,
                    best->name + best->length == text_.size()};
}

} // namespace corebox
