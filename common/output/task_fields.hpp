// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The fields that --where has of events of tasks (abi/task_event.h).
#pragma once
#include "abi/task_event.h"
#include "output/column.hpp"

namespace corebox::task_field
{

inline constexpr Column pid = event_field<field<&task_event::pid>>("pid", "Process ID");
inline constexpr Column tid = event_field<field<&task_event::tid>>("tid", "Thread ID");
inline constexpr Column comm =
    event_field<field<&task_event::comm>>("comm", "Command name of the thread");
inline constexpr Column cpu = event_field<field<&task_event::cpu>>("cpu", "CPU");

// The time that the tool measures, under a name of the tool.
consteval Column nanoseconds(std::string_view key, std::string_view help)
{
    return event_field<field<&task_event::ns>>(key, help);
}
consteval Column microseconds(std::string_view key, std::string_view help)
{
    return event_field<field<&task_event::ns> / 1000>(key, help);
}

} // namespace corebox::task_field
