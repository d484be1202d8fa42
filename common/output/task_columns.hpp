// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The columns that most event tools share; Task is the row's member of type task_info.
#pragma once
#include "abi/task.h"
#include "output/column.hpp"

namespace corebox
{
namespace detail
{
// Row is a parameter of its own for the linkage: see Store in tool/option.hpp.
template <class Row, auto Task>
struct TaskTimes {
    static Value since(const void* row) { return SinceFirst{of(row)}; }
    static Value wall(const void* row) { return WallTime{of(row)}; }
    static std::uint64_t of(const void* row)
    {
        return (static_cast<const Row*>(row)->*Task).time_ns;
    }
};
} // namespace detail

template <auto Task>
consteval Column since_column(Show show)
{
    using Row = typename detail::GetterRow<decltype(Task)>::type;
    return {"since_s",
            "TIME(s)",
            14,
            ColumnType::elapsed,
            "Seconds since the first event",
            show,
            detail::TaskTimes<Row, Task>::since,
            &detail::kRowTag<Row>};
}

template <auto Task>
consteval Column time_column(Show show)
{
    using Row = typename detail::GetterRow<decltype(Task)>::type;
    return {"time_ns",
            "TIME",
            8,
            ColumnType::time,
            "Time of the event",
            show,
            detail::TaskTimes<Row, Task>::wall,
            &detail::kRowTag<Row>};
}

} // namespace corebox
