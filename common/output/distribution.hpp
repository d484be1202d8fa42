// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How often each magnitude of a value occurred: what the kernel side counts in a histogram, added
// up.
#pragma once
#include "abi/hist.h"
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// What the rows count in, and how many raw units (those of the sum) one of it is.
struct Unit {
    std::string_view name; // "usecs"
    std::uint64_t raw = 1; // 1000, where the raw unit is the nanosecond
};

// Both ends included.
struct RawRange {
    std::uint64_t from = 0, to = 0;
};

// The least value that is counted in `slot` where each power of two has 1 << bits slots
// (log_linear_slot() in bpf/hist.bpf.h); what is beyond 64 bits is the greatest.
constexpr std::uint64_t log_linear_from(std::uint64_t slot, unsigned bits)
{
    const std::uint64_t magnitude = slot >> bits;
    if (magnitude < 2)
        return slot;
    const unsigned shift = unsigned(magnitude - 1);
    if (shift + bits >= 64)
        return ~0ull;
    return (slot - (std::uint64_t(shift) << bits)) << shift;
}

// The values of a row, in the histogram's unit, and of a slot, in raw units (abi/hist.h).
struct Buckets {
    std::uint64_t step = 0; // linear, row n holds [n * step, (n + 1) * step); 0: powers of two
    // Linear with what lies outside in rows of its own: from `low`, if not 0, row 0 is what is
    // below it; row `last` is all that is beyond the steps.
    std::uint64_t low = 0;
    unsigned last = HIST_ROWS;

    constexpr std::uint64_t from(unsigned row) const
    {
        if (low)
            return row ? low + (row - 1) * step : 0;
        return step ? row * step : row ? 1ull << row : 0;
    }
    constexpr std::uint64_t to(unsigned row) const
    {
        if (row == last)
            return ~0ull;
        return step ? from(row + 1) - 1 : (2ull << row) - 1;
    }
    unsigned row(unsigned slot, const Unit& unit) const;
    RawRange values(unsigned slot, const Unit& unit) const;
};

// The rank, from 1, of the value that `percent` of all do not exceed ("nearest rank").
constexpr unsigned kPercent = 1000; // percents are in thousandths
std::uint64_t nearest_rank(std::uint64_t count, std::uint32_t percent);

// The slot of the rank-th smallest value.
std::size_t slot_of(std::span<const std::uint64_t> slots, std::uint64_t rank);

// Lies between two values, raw and both included; where these are the same it is exact.
struct Percentile {
    std::uint64_t from = 0, to = 0;

    constexpr std::uint64_t value() const { return from + (to - from) / 2; }
    constexpr bool is_exact() const { return from == to; }
};

// One histogram of all CPUs together.
class Distribution
{
public:
    void add(const hist& part);
    void add(const hist_part& part, unsigned number);
    void add(const Distribution& other);

    std::uint64_t count() const { return count_; }
    std::uint64_t slot(unsigned i) const { return slots_[i]; }
    // How many values each row has, up to the last that is not empty.
    std::vector<std::uint64_t> rows(const Buckets& buckets, const Unit& unit) const;

    // Exact, in raw units; 0 where nothing was counted.
    std::uint64_t sum() const { return sum_; }
    std::uint64_t min() const { return count_ ? min_ : 0; }
    std::uint64_t max() const { return max_; }

    // The last value of a row as it is shown: of the row for all beyond the steps the greatest that
    // there was.
    std::uint64_t to(unsigned row, const Buckets& buckets, const Unit& unit) const
    {
        return row == buckets.last ? std::max(max_ / unit.raw, buckets.from(row)) : buckets.to(row);
    }

    // The value that `percent` of all do not exceed: exact if it is the least or the greatest, or
    // all of its slot are one value.
    Percentile percentile(unsigned percent, const Buckets& buckets, const Unit& unit) const;

private:
    void add(const hist_totals& totals);

    std::array<std::uint64_t, HIST_SLOTS> slots_{};
    std::uint64_t count_ = 0, sum_ = 0, max_ = 0, min_ = ~0ull;
};

// n / divisor: rounded to `decimals`, without zeros at the end.
void put_quotient(std::string& out, std::uint64_t n, unsigned __int128 divisor, unsigned decimals);

// In `unit`, with a ~ before an estimate, which has the fewest decimals (at most `decimals`) with
// which it still lies between its two values and is at most an eighth away from them.
void put_percentile(std::string& out, const Percentile& p, const Unit& unit, unsigned decimals);

// As many decimals as n / unit may have, at most 10.
unsigned decimals_of(const Unit& unit);

// The stars of a bar: `width` for the greatest count.
std::string_view stars(std::uint64_t n, std::uint64_t greatest, unsigned width);

} // namespace corebox
