// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The columns that most event tools share; Task is the row's member of type task_info.
#pragma once
#include "abi/task.h"
#include "output/column.hpp"

namespace corebox
{
namespace detail
{
template <auto Task>
struct TaskTimes {
    using Row = typename GetterRow<decltype(Task)>::type;
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
    using Row = typename detail::TaskTimes<Task>::Row;
    return {"since_s",
            "TIME(s)",
            14,
            "Seconds since the first event",
            show,
            detail::TaskTimes<Task>::since,
            &detail::kRowTag<Row>};
}

template <auto Task>
consteval Column time_column(Show show)
{
    using Row = typename detail::TaskTimes<Task>::Row;
    return {"time_ns",
            "TIME",
            8,
            "Time of the event",
            show,
            detail::TaskTimes<Task>::wall,
            &detail::kRowTag<Row>};
}

} // namespace corebox
