// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/clock.hpp"
#include <ctime>

namespace corebox
{
namespace
{

constexpr std::uint64_t kSecond = 1'000'000'000;

std::uint64_t read_clock(clockid_t clock)
{
    timespec t{};
    clock_gettime(clock, &t);
    return std::uint64_t(t.tv_sec) * kSecond + std::uint64_t(t.tv_nsec);
}

} // namespace

std::uint64_t monotonic_ns() { return read_clock(CLOCK_MONOTONIC); }

void Clock::synchronise() { offset_ = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC); }

std::string_view Clock::time_of_day(std::uint64_t wall_ns)
{
    if (const std::uint64_t second = wall_ns / kSecond; second != second_) {
        const auto t = time_t(second);
        tm parts{};
        utc_ ? gmtime_r(&t, &parts) : localtime_r(&t, &parts);
        strftime(text_, sizeof text_, "%H:%M:%S", &parts);
        second_ = second;
    }
    return {text_, sizeof text_ - 1};
}

} // namespace corebox
