// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The fields that --where has of tools that count requests (request_event.h); a tool lists those
// that it fills in.
#pragma once
#include "output/column.hpp"
#include "request.hpp"
#include "request_event.h"

namespace corebox::request_field
{

inline constexpr Column lat_ns =
    event_field<field<&request_event::lat_ns>>("lat_ns", "Latency in nanoseconds");
inline constexpr Column lat_us =
    event_field<field<&request_event::lat_ns> / 1000>("lat_us", "Latency in microseconds");
inline constexpr Column lat_ms = event_field<fixed(field<&request_event::lat_ns> / 1000, 3)>(
    "lat_ms", "Latency in milliseconds");
inline constexpr Column sector =
    event_field<field<&request_event::sector>>("sector", "First sector, in units of 512 bytes");
inline constexpr Column bytes = event_field<field<&request_event::bytes>>("bytes", "Size in bytes");
inline constexpr Column disk = event_field<field<&request_event::disk>>("disk", "Name of the disk");
inline constexpr Column op = event_field_of_names<field<&request_event::kind>, kRequestKinds>(
    "op", "read, write, flush, ...");
inline constexpr Column pid =
    event_field<field<&request_event::pid>>("pid", "ID of the process that issued it");
inline constexpr Column tid =
    event_field<field<&request_event::tid>>("tid", "ID of the thread that issued it");
inline constexpr Column comm =
    event_field<field<&request_event::comm>>("comm", "Command name of this thread");

} // namespace corebox::request_field
