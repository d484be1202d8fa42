// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/distribution.hpp"

namespace corebox
{
namespace
{

constexpr std::string_view kStars = "****************************************";

} // namespace

void Distribution::add(const hist& part)
{
    for (unsigned i = 0; i < HIST_SLOTS; i++) {
        slots_[i] += part.slots[i];
        count_ += part.slots[i];
    }
    sum_ += part.sum;
    max_ = std::max<std::uint64_t>(max_, part.max);
    min_ = std::min<std::uint64_t>(min_, ~part.min_inv);
}

void Distribution::add(const Distribution& other)
{
    for (unsigned i = 0; i < HIST_SLOTS; i++)
        slots_[i] += other.slots_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
    min_ = std::min(min_, other.min_);
}

unsigned Distribution::used() const
{
    unsigned used = HIST_SLOTS;
    while (used > 0 && slots_[used - 1] == 0)
        used--;
    return used;
}

std::uint64_t Distribution::percentile(unsigned percent, const Buckets& buckets,
                                       const Unit& unit) const
{
    using Wide = unsigned __int128;
    if (count_ == 0)
        return 0;
    // The rank-th smallest value; of n values in a slot, the k-th is at (k - 1/2) / n of its width.
    const auto rank =
        std::max<std::uint64_t>(1, std::uint64_t((Wide(count_) * percent + 99) / 100));
    std::uint64_t below = 0;
    unsigned i = 0;
    while (i + 1 < HIST_SLOTS && below + slots_[i] < rank)
        below += slots_[i++];
    const Wide from = Wide(buckets.from(i)) * unit.raw;
    const Wide width = (Wide(to(i, buckets, unit)) + 1) * unit.raw - from;
    const Wide value = from + width * (2 * Wide(rank - below) - 1) /
                                  (2 * Wide(std::max<std::uint64_t>(slots_[i], 1)));
    return std::uint64_t(std::clamp<Wide>(value, min(), max_));
}

std::string_view stars(std::uint64_t n, std::uint64_t greatest, unsigned width)
{
    if (greatest == 0)
        return {};
    return kStars.substr(0, std::size_t(static_cast<unsigned __int128>(n) * width / greatest));
}

} // namespace corebox
