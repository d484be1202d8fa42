// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols: the names a JIT compiler writes to /tmp/perf-PID.map.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// Lines "START SIZE name", both numbers hexadecimal, the name up to the end of the line.
class PerfMap
{
public:
    PerfMap() = default;
    explicit PerfMap(std::string text);

    struct Function {
        std::string_view name; // lives as long as this object
        std::uint64_t offset;
        bool unfinished = false; // of a last line without newline: perhaps still being written
    };
    // Code is recompiled and its memory used again: the last line that holds the address counts.
    std::optional<Function> find(std::uint64_t address) const;
    bool empty() const { return entries_.empty(); }

private:
    struct Entry {
        std::uint64_t start;
        std::uint64_t size;
        std::uint64_t reach; // the farthest end of this and all entries before it
        std::uint32_t name;
        std::uint32_t length;
    };
    std::vector<Entry> entries_;
    std::string text_;
};

} // namespace corebox
