// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Patterns such as "/etc/*.conf" and "sd[a-c]": * any bytes, ? one, [a-z] [!a] one of some. Nothing
// is special but these: a star takes slashes and dots too, a backslash is one, [*] is a star, and a
// [ that nothing closes is itself.
#pragma once
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corebox::expr
{

class Glob
{
public:
    explicit Glob(std::string_view pattern);

    bool matches(std::string_view text) const;

    // What all texts that match begin with.
    const std::string& literal() const { return literal_; }
    bool is_literal() const { return is_literal_ && stars_.back() == 0; } // only that one does
    bool is_prefix() const { return is_literal_ && stars_.back() != 0; }  // and all of these do
    bool ends_with_star() const { return stars_.back() != 0; }
    std::size_t length() const { return sets_.size(); } // without the stars

    // A bit-parallel automaton for code without a branch for each character. Bit i of its state:
    // i of the pattern have matched; it begins as 1. A character c takes it to
    // ((state & go) << 1) | (state & stay), with go and stay at table[2 * c]. A NUL leads from
    // bit length() to length() + 1, which then stays, and ends all others.
    static constexpr std::size_t kMaxLength = 62, kTableBytes = 256 * 16;
    void append_table(std::vector<std::uint64_t>& tables) const;

private:
    using Set = std::bitset<256>;
    // Takes what stands in brackets; false: nothing closes them.
    static bool take_set(std::string_view pattern, std::size_t& at, Set& set);

    std::vector<Set> sets_;
    std::vector<char> stars_; // before each of these, and at the end
    std::string literal_;
    bool is_literal_ = true; // up to a star at the end
};

} // namespace corebox::expr
