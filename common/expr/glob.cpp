// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/glob.hpp"

namespace corebox::expr
{

namespace
{

unsigned byte(char c) { return static_cast<unsigned char>(c); }

} // namespace

bool Glob::take_set(std::string_view pattern, std::size_t& at, Set& set)
{
    std::size_t i = at + 1;
    const bool others = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    i += others;
    for (const std::size_t first = i; i < pattern.size(); i++) {
        if (pattern[i] == ']' && i > first) {
            if (others)
                set.flip();
            set.reset(0);
            at = i;
            return true;
        }
        unsigned last = byte(pattern[i]);
        const unsigned from = last;
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
            last = byte(pattern[i + 2]);
            i += 2;
        }
        for (unsigned c = from; c <= last; c++)
            set.set(c);
    }
    set.reset();
    return false;
}

Glob::Glob(std::string_view pattern) : stars_{0}
{
    for (std::size_t i = 0; i < pattern.size(); i++) {
        if (pattern[i] == '*') {
            stars_.back() = 1;
            continue;
        }
        Set set;
        bool is_one = false; // this character and no other
        if (pattern[i] == '?')
            set.set().reset(0);
        else if (pattern[i] != '[' || !take_set(pattern, i, set))
            set.set(byte(pattern[i])), is_one = true;
        is_literal_ = is_literal_ && is_one && !stars_.back();
        if (is_literal_)
            literal_ += pattern[i];
        sets_.push_back(set);
        stars_.push_back(0);
    }
}

bool Glob::matches(std::string_view text) const
{
    text = text.substr(0, text.find('\0'));
    // The last star takes one more each time that what follows it does not match.
    std::size_t at = 0, i = 0, star = sets_.size() + 1, taken = 0;
    for (;;) {
        if (stars_[i] && star != i)
            star = i, taken = at;
        if (i == sets_.size() && (at == text.size() || star == i))
            return true;
        if (at < text.size() && i < sets_.size() && sets_[i].test(byte(text[at]))) {
            at++;
            i++;
            continue;
        }
        if (star > sets_.size() || taken == text.size())
            return false;
        at = ++taken;
        i = star;
    }
}

void Glob::append_table(std::vector<std::uint64_t>& tables) const
{
    const std::size_t length = sets_.size();
    std::uint64_t stay = 0;
    for (std::size_t i = 0; i <= length; i++)
        stay |= std::uint64_t(stars_[i] != 0) << i;
    const std::uint64_t last = 1ull << (length + 1);
    tables.push_back(1ull << length);
    tables.push_back(last);
    for (unsigned c = 1; c < 256; c++) {
        std::uint64_t go = 0;
        for (std::size_t i = 0; i < length; i++)
            go |= std::uint64_t(sets_[i].test(c)) << i;
        tables.push_back(go);
        tables.push_back(stay | last);
    }
}

} // namespace corebox::expr
