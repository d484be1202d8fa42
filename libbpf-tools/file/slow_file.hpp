// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What fsslower and fileslower have in common: their threshold and most of their columns.
#pragma once
#include "base/path.hpp"
#include "output/path_field.hpp"
#include "output/task_columns.hpp"
#include "slow_file.h"
#include "tool/milliseconds.hpp"
#include <sys/stat.h>

namespace corebox
{

struct SlowRow {
    task_info task{};
    std::string_view name, path;
    std::string text; // memory of a path that was built
    std::uint32_t kind = 0;
    std::uint64_t lat_ns = 0;
    std::int64_t bytes = 0, offset = 0;

    // In whole multiples of `unit`.
    Value offset_in(std::int64_t unit) const
    {
        return offset < 0 ? Value(Absent{}) : Value(offset / unit);
    }

    void fill(const slow_event& e, const void* end, bool full_path)
    {
        task = e.task;
        kind = e.kind;
        lat_ns = e.lat_ns;
        bytes = e.ret;
        offset = e.offset;
        path = path_of(e.path, end, text);
        if (path.empty()) // as /proc/PID/fd shows them
            path = text = cat(S_ISFIFO(e.mode)   ? "pipe:["
                              : S_ISSOCK(e.mode) ? "socket:["
                                                 : "inode:[",
                              e.inode, "]");
        const auto slash = full_path && path.size() > 1 ? path.rfind('/') : path.npos;
        name = slash == path.npos ? path : path.substr(slash + 1);
    }
};

// What the columns are of the record.
inline constexpr Formula kSlowKind = field<&slow_event::kind>;
inline constexpr Formula kSlowBytes = field<&slow_event::ret>;
inline constexpr Formula kSlowNanoseconds = field<&slow_event::lat_ns>;
inline constexpr Formula kSlowMilliseconds = fixed(kSlowNanoseconds / 10'000, 2);
inline constexpr Formula kSlowName = known(
    Formula(1) < field<&slow_event::path, &path_record::path_len>, path_field<&slow_event::path>);

consteval Formula slow_offset(std::int64_t unit)
{
    const Formula offset = field<&slow_event::offset>;
    return present(!(offset < 0), offset / unit);
}

} // namespace corebox
