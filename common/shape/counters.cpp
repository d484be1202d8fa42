// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/counters.hpp"
#include "base/difference.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cmath>

namespace corebox
{

std::uint64_t CounterRow::per_second(std::uint64_t events) const
{
    constexpr double kSecond = 1e9;
    if (interval_ns == 0)
        return 0;
    return std::uint64_t(std::llround(double(events) * kSecond / double(interval_ns)));
}

counters read_counters(std::span<const counters> slots)
{
    counters sum{};
    for (const counters& slot : slots)
        for (std::size_t i = 0; i < COUNTERS_MAX; i++)
            sum.n[i] += *const_cast<const volatile __u64*>(&slot.n[i]);
    return sum;
}

SkippedCalls::SkippedCalls(std::span<const CountedCall> calls,
                           std::vector<const bpf_program*>& programs)
{
    std::erase_if(programs, [&](const bpf_program* program) {
        const std::string_view section = bpf_program__section_name(program);
        const auto call =
            std::ranges::find(calls, section.substr(section.find('/') + 1), &CountedCall::function);
        if (call == calls.end())
            return false;
        programs_.emplace_back(program, call->counter);
        return true;
    });
}

counters SkippedCalls::read() const
{
    counters skipped{};
    for (const auto& [program, counter] : programs_) {
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0)
            skipped.n[counter] += info.recursion_misses;
    }
    return skipped;
}

// What has been caused before the first reading, by the tool too, cancels out: modulo 2^64.
counters CounterIntervals::balance(const counters& own, const counters& skipped) const
{
    counters now = read_counters(slots_);
    for (std::size_t i = 0; i < COUNTERS_MAX; i++)
        now.n[i] += skipped.n[i] - own.n[i];
    return now;
}

CounterRow CounterIntervals::next(std::uint64_t now_ns, const counters& own,
                                  const counters& skipped)
{
    const counters now = balance(own, skipped);
    CounterRow row{.time_ns = now_ns, .interval_ns = difference(now_ns, then_ns_), .count = {}};
    for (std::size_t i = 0; i < COUNTERS_MAX; i++) {
        // Where the probes fell silent the tool's own calls go on. What there is too little of then
        // stays to be made up for.
        const auto gained = std::int64_t(now.n[i] - then_.n[i]);
        if (gained <= 0)
            continue;
        row.count.n[i] = std::uint64_t(gained);
        then_.n[i] = now.n[i];
    }
    then_ns_ = now_ns;
    return row;
}

} // namespace corebox
