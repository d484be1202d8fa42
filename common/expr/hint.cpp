// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/hint.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <vector>

namespace corebox::expr
{

namespace
{

constexpr std::size_t kLongest = 128;

// Letters to insert, remove, replace or swap with the next, at least up to `most`.
unsigned distance(std::string_view a, std::string_view b)
{
    std::vector<unsigned> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (unsigned j = 0; j <= b.size(); j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.size(); i++) {
        row[0] = i;
        for (unsigned j = 1; j <= b.size(); j++) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
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
    for (const std::string& k : known) {
        const std::size_t difference =
            k.size() > word.size() ? k.size() - word.size() : word.size() - k.size();
        if (k.size() > kLongest || difference > best)
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
