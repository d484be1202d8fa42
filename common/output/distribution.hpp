// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How often each magnitude of a value occurred: what the kernel side counts in a histogram, added
// up.
#pragma once
#include "abi/hist.h"
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace corebox
{

// What the slots count in, and how many raw units (those of hist.sum) one of it is.
struct Unit {
    std::string_view name; // "usecs"
    std::uint64_t raw = 1; // 1000, where the raw unit is the nanosecond
};

// The values of a slot, both ends included, in the histogram's unit.
struct Buckets {
    std::uint64_t step = 0; // linear, slot n holds [n * step, (n + 1) * step); 0: powers of two
    // Linear with what lies outside in slots of its own: from `low`, if not 0, slot 0 is what is
    // below it; slot `last` is all that is beyond the steps.
    std::uint64_t low = 0;
    unsigned last = HIST_SLOTS;

    constexpr std::uint64_t from(unsigned slot) const
    {
        if (low)
            return slot ? low + (slot - 1) * step : 0;
        return step ? slot * step : slot ? 1ull << slot : 0;
    }
    constexpr std::uint64_t to(unsigned slot) const
    {
        if (slot == last)
            return ~0ull;
        return step ? from(slot + 1) - 1 : (2ull << slot) - 1;
    }
};

// One histogram of all CPUs together.
class Distribution
{
public:
    void add(const hist& part);
    void add(const Distribution& other);

    std::uint64_t count() const { return count_; }
    unsigned used() const; // slots up to the last that is not empty
    std::uint64_t slot(unsigned i) const { return slots_[i]; }

    // Exact, in raw units; 0 where nothing was counted.
    std::uint64_t sum() const { return sum_; }
    std::uint64_t min() const { return count_ ? min_ : 0; }
    std::uint64_t max() const { return max_; }
    std::uint64_t average() const { return count_ ? sum_ / count_ : 0; }

    // The last value of a slot as it is shown: of the slot for all beyond the steps the greatest
    // that there was.
    std::uint64_t to(unsigned slot, const Buckets& buckets, const Unit& unit) const
    {
        return slot == buckets.last ? std::max(max_ / unit.raw, buckets.from(slot))
                                    : buckets.to(slot);
    }

    // The value that `percent` of all do not exceed, in raw units. An estimate: within its slot the
    // values are taken to be spread evenly, between min() and max().
    std::uint64_t percentile(unsigned percent, const Buckets& buckets, const Unit& unit) const;

private:
    std::array<std::uint64_t, HIST_SLOTS> slots_{};
    std::uint64_t count_ = 0, sum_ = 0, max_ = 0, min_ = ~0ull;
};

// The stars of a bar: `width` for the greatest count.
std::string_view stars(std::uint64_t n, std::uint64_t greatest, unsigned width);

} // namespace corebox
