// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/hint.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace corebox::expr
{

namespace
{

constexpr std::size_t kLongest = 128;

// Letters to insert, remove, replace or swap with the next.
unsigned distance(std::string_view a, std::string_view b)
{
    std::array<std::array<std::uint8_t, kLongest + 1>, 3> rows{};
    auto *before = rows[0].data(), *last = rows[1].data(), *row = rows[2].data();
    for (unsigned j = 0; j <= b.size(); j++)
        last[j] = std::uint8_t(j);
    for (unsigned i = 1; i <= a.size(); i++) {
        row[0] = std::uint8_t(i);
        for (unsigned j = 1; j <= b.size(); j++) {
            unsigned best = std::min(
                {last[j] + 1u, row[j - 1] + 1u, last[j - 1] + unsigned(a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = std::min(best, before[j - 2] + 1u);
            row[j] = std::uint8_t(best);
        }
        auto* const free = before;
        before = last;
        last = row;
        row = free;
    }
    return last[b.size()];
}

// The letters of a word, as a set.
std::uint64_t letters(std::string_view word)
{
    std::uint64_t set = 0;
    for (const char c : word)
        set |= 1ull << (unsigned(c) & 63);
    return set;
}

} // namespace

std::string did_you_mean(std::string_view word, std::span<const std::string> known,
                         std::string_view keyword)
{
    if (word.empty() || word.size() > kLongest)
        return {};
    // A third of the letters may be wrong; else it may be a part: dport of skc_dport.
    unsigned best = std::max(unsigned(word.size()) / 3, 1u) + 1;
    const std::string* name = nullptr;
    const std::uint64_t wanted = letters(word);
    for (const std::string& k : known) {
        const std::size_t difference =
            k.size() > word.size() ? k.size() - word.size() : word.size() - k.size();
        // A wrong letter makes two different, at most.
        if (k.size() > kLongest || difference >= best ||
            unsigned(std::popcount(wanted ^ letters(k))) > 2 * (best - 1))
            continue;
        if (const unsigned d = distance(word, k); d < best) {
            best = d;
            name = &k;
        }
    }
    const auto contains = [&](const std::string& k) {
        return word.size() >= 3 && k.find(word) != k.npos;
    };
    if (!name)
        for (const std::string& k : known)
            if (contains(k) && (!name || k.size() < name->size()))
                name = &k;
    return name ? cat("did you mean '", keyword, keyword.empty() ? "" : " ", *name, "'?")
                : std::string();
}

} // namespace corebox::expr
