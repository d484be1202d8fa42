// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/counters.hpp"

namespace corebox
{

std::uint64_t CounterRow::rate(std::size_t counter) const
{
    constexpr double kSecond = 1e9;
    if (interval_ns == 0)
        return 0;
    return std::uint64_t(double(count.n[counter]) * kSecond / double(interval_ns) + 0.5);
}

counters read_counters(std::span<const counters> slots)
{
    counters sum{};
    for (const counters& slot : slots)
        for (std::size_t i = 0; i < COUNTERS_MAX; i++)
            sum.n[i] += *const_cast<const volatile __u64*>(&slot.n[i]);
    return sum;
}

CounterRow CounterIntervals::next(std::uint64_t now_ns, const counters& own)
{
    counters now = read_counters(slots_);
    CounterRow row{.time_ns = now_ns, .interval_ns = now_ns - then_ns_, .count = {}};
    for (std::size_t i = 0; i < COUNTERS_MAX; i++) {
        now.n[i] -= own.n[i];
        row.count.n[i] = now.n[i] - then_.n[i];
    }
    then_ = now;
    then_ns_ = now_ns;
    return row;
}

} // namespace corebox
