// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a run's account says: seen = printed + filtered + lost.
#pragma once
#include <cstdint>
#include <string>

namespace corebox
{

// Events that were seen and could not be shown, by cause.
struct Lost {
    std::uint64_t ring = 0;  // no room in the ring or perf buffer
    std::uint64_t map = 0;   // a hash map was full
    std::uint64_t stack = 0; // no stack id
    // The kernel did not run the program, which was already running there; or no room so deep.
    std::uint64_t skipped = 0;
    std::uint64_t returns = 0; // seen to begin and never to end
    std::uint64_t unread = 0;  // in the buffer when the tool had to end at once

    std::uint64_t total() const { return ring + map + stack + skipped + returns + unread; }
    bool operator==(const Lost&) const = default;
};

struct Totals {
    std::uint64_t printed = 0;
    std::uint64_t filtered = 0;
    Lost lost{};
    // How long probes were attached and could not fire, at most. Those events are in no number.
    std::uint64_t silent_ns = 0;
    // What else the tool could not know; empty: nothing.
    std::string note{};

    // In milliseconds, at least 1 where it is not 0.
    std::uint64_t silent_ms() const
    {
        return silent_ns && silent_ns < 1'000'000 ? 1 : silent_ns / 1'000'000;
    }
    std::uint64_t seen() const { return printed + filtered + lost.total(); }
};

} // namespace corebox
