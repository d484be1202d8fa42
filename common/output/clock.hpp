// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's clock, in which events carry their time, and the wall clock that people read.
#pragma once
#include <cstdint>
#include <string_view>

namespace corebox
{

// CLOCK_MONOTONIC in nanoseconds, as bpf_ktime_get_ns() gives it.
std::uint64_t monotonic_ns();

// Converts CLOCK_MONOTONIC to wall clock. The offset is read again with every batch of output: a
// clock that was set shows from the next batch on.
class Clock
{
public:
    explicit Clock(bool utc) : utc_(utc) { synchronise(); }
    void synchronise();
    bool utc() const { return utc_; }
    std::uint64_t wall_ns(std::uint64_t mono_ns) const { return mono_ns + offset_; }
    // "HH:MM:SS", in local time unless UTC was requested. Valid until the next call.
    std::string_view time_of_day(std::uint64_t wall_ns);

private:
    bool utc_;
    std::uint64_t offset_ = 0;
    std::uint64_t second_ = ~0ull; // what text_ shows
    char text_[9] = {};
};

} // namespace corebox
