// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/distribution.hpp"
#include "base/text.hpp"
#include <bit>

namespace corebox
{
namespace
{

using Wide = unsigned __int128;

constexpr std::string_view kStars = "****************************************";

constexpr std::uint64_t clamped(Wide n) { return n > ~0ull ? ~0ull : std::uint64_t(n); }

// n * by / divisor, rounded up: the least v for which v * divisor / by is at least n.
constexpr std::uint64_t scaled(std::uint64_t n, std::uint64_t by, std::uint64_t divisor)
{
    return clamped((Wide(n) * by + divisor - 1) / divisor);
}

// Rounded to the nearest.
constexpr Wide quotient(Wide n, Wide divisor) { return (n + divisor / 2) / divisor; }

constexpr std::uint64_t power_of_ten(unsigned exponent)
{
    std::uint64_t power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

} // namespace

unsigned Buckets::row(unsigned slot, const Unit& unit) const
{
    if (step)
        return slot / HIST_ROW;
    const std::uint64_t n = unit.raw == 1 ? log_linear_from(slot, HIST_BITS)
                                          : log_linear_from(slot, HIST_BITS) / HIST_SCALE;
    return n ? unsigned(std::bit_width(n)) - 1 : 0;
}

RawRange Buckets::values(unsigned slot, const Unit& unit) const
{
    if (step) {
        const unsigned r = slot / HIST_ROW, quarter = slot % HIST_ROW;
        const std::uint64_t first = clamped(Wide(from(r)) * unit.raw);
        if (r == last)
            return {first, ~0ull};
        if (low && r == 0) { // has but one slot
            const std::uint64_t end = clamped(Wide(low) * unit.raw);
            return {quarter ? end : 0, end - 1};
        }
        const std::uint64_t width = step * unit.raw;
        return {first + scaled(quarter, width, HIST_ROW),
                first + scaled(quarter + 1, width, HIST_ROW) - 1};
    }
    const std::uint64_t first = log_linear_from(slot, HIST_BITS),
                        next = log_linear_from(slot + 1, HIST_BITS);
    const std::uint64_t raw = unit.raw, scale = unit.raw == 1 ? 1 : HIST_SCALE;
    const std::uint64_t end = scaled(next, raw, scale);
    return {scaled(first, raw, scale), end == ~0ull ? end : end - 1};
}

std::uint64_t nearest_rank(std::uint64_t count, std::uint32_t percent)
{
    constexpr std::uint64_t kAll = 100 * kPercent;
    return std::max<std::uint64_t>(1, std::uint64_t((Wide(count) * percent + kAll - 1) / kAll));
}

std::size_t slot_of(std::span<const std::uint64_t> slots, std::uint64_t rank)
{
    std::uint64_t until = 0;
    for (std::size_t i = 0; i < slots.size(); i++)
        if ((until += slots[i]) >= rank)
            return i;
    return slots.size() - 1;
}

void Distribution::add(const hist_totals& totals)
{
    sum_ += totals.sum;
    max_ = std::max<std::uint64_t>(max_, totals.max);
    min_ = std::min<std::uint64_t>(min_, ~totals.min_inv);
}

void Distribution::add(const hist& part)
{
    for (unsigned i = 0; i < HIST_SLOTS; i++) {
        slots_[i] += part.slots[i];
        count_ += part.slots[i];
    }
    add(part.totals);
}

void Distribution::add(const hist_part& part, unsigned number)
{
    for (unsigned i = 0; i < HIST_ROW; i++) {
        slots_[number % HIST_ROWS * HIST_ROW + i] += part.slots[i];
        count_ += part.slots[i];
    }
    add(part.totals);
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

std::vector<std::uint64_t> Distribution::rows(const Buckets& buckets, const Unit& unit) const
{
    std::vector<std::uint64_t> rows;
    for (unsigned i = 0; i < HIST_SLOTS; i++)
        if (slots_[i]) {
            const unsigned row = buckets.row(i, unit);
            if (row >= rows.size())
                rows.resize(row + 1);
            rows[row] += slots_[i];
        }
    return rows;
}

Percentile Distribution::percentile(unsigned percent, const Buckets& buckets,
                                    const Unit& unit) const
{
    if (count_ == 0)
        return {};
    const std::uint64_t rank = nearest_rank(count_, percent * kPercent);
    if (rank == 1)
        return {min_, min_};
    if (rank == count_)
        return {max_, max_};
    const RawRange values = buckets.values(unsigned(slot_of(slots_, rank)), unit);
    // Of a value that is being counted just now the slot may be known and the totals not yet.
    const std::uint64_t low = std::min(min_, max_);
    const std::uint64_t from = std::clamp(values.from, low, max_);
    return {from, std::clamp(values.to, from, max_)};
}

void put_quotient(std::string& out, std::uint64_t n, Wide divisor, unsigned decimals)
{
    const std::uint64_t power = power_of_ten(decimals);
    const Wide all = quotient(Wide(n) * power, divisor);
    out += cat(std::uint64_t(all / power));
    std::uint64_t rest = std::uint64_t(all % power);
    if (rest == 0)
        return;
    out += '.';
    for (std::uint64_t digit = power / 10; rest; rest %= digit, digit /= 10)
        out += char('0' + rest / digit);
}

void put_percentile(std::string& out, const Percentile& p, const Unit& unit, unsigned decimals)
{
    if (p.is_exact())
        return put_quotient(out, p.value(), unit.raw, decimals);
    // Within an eighth of wherever the value is, as the estimate itself mostly is; in a wide row of
    // a linear histogram nothing is, and decimals would promise much.
    const auto is_near = [&](Wide estimate, Wide power) {
        const Wide from = Wide(p.from) * power, to = Wide(p.to) * power;
        return 8 * (estimate - from) <= from && 8 * (to - estimate) <= to;
    };
    const bool must_be_near = is_near(p.value(), 1) || p.value() < unit.raw;
    unsigned fewest = 0;
    for (; fewest < decimals; fewest++) {
        const Wide power = power_of_ten(fewest);
        const Wide rounded = quotient(Wide(p.value()) * power, unit.raw) * unit.raw;
        if (rounded >= Wide(p.from) * power && rounded <= Wide(p.to) * power &&
            (!must_be_near || is_near(rounded, power)))
            break;
    }
    out += '~';
    put_quotient(out, p.value(), unit.raw, fewest);
}

unsigned decimals_of(const Unit& unit)
{
    constexpr unsigned kMost = 10;
    unsigned decimals = 0;
    for (std::uint64_t power = 1; power % unit.raw != 0 && decimals < kMost; power *= 10)
        decimals++;
    return decimals;
}

std::string_view stars(std::uint64_t n, std::uint64_t greatest, unsigned width)
{
    if (greatest == 0)
        return {};
    return kStars.substr(0, std::size_t(Wide(n) * width / greatest));
}

} // namespace corebox
