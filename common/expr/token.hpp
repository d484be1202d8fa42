// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The words of an expression.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corebox::expr
{

enum class Sign : std::uint8_t {
    end,
    name, // of letters, digits and _; may begin with $
    number,
    text,
    address,
    // Operators; the order is that of kSpellings.
    arrow,
    equal,
    not_equal,
    less_equal,
    greater_equal,
    shift_left,
    shift_right,
    logical_and,
    logical_or,
    matches,  // =~
    ellipsis, // ...
    range,    // ..
    less,
    greater,
    plus,
    minus,
    star,
    slash,
    percent,
    ampersand,
    pipe,
    caret,
    tilde,
    exclamation,
    question,
    colon,
    semicolon,
    comma,
    dot,
    at,
    assign,
    open_round,
    close_round,
    open_square,
    close_square,
    open_brace,
    close_brace,
};

struct Number {
    enum class Unit : std::uint8_t { none, time, size };
    std::uint64_t value = 0; // of a time in ns; of a fraction times 10^decimals
    std::uint8_t decimals = 0;
    Unit unit = Unit::none;
    bool is_unsigned = false, is_long = false; // by its suffix
    bool is_decimal = true;
};

struct Address {
    std::array<std::uint8_t, 16> bytes{};
    std::uint8_t size = 0;   // 4, 16, or 6 of a MAC address
    std::uint8_t prefix = 0; // bits that count
};

struct Token {
    Sign sign = Sign::end;
    std::uint32_t at = 0, length = 0;
    std::string_view word{}; // as it stands in the text
    std::string text{};      // what a text says
    Number number{};         // a character too
    Address address{};
};

inline constexpr std::size_t kLongestText = 16384;

inline constexpr std::size_t kLongestHeader = 1 << 20; // of declarations

// All words, and an `end`. Throws TextError.
std::vector<Token> read_tokens(std::string_view text, std::size_t longest = kLongestText);

} // namespace corebox::expr
