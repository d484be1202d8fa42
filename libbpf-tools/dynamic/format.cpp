// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "format.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <cstring>

namespace corebox
{
namespace
{
using expr::TextError;

constexpr std::uint16_t kMostWidth = 1000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::uint16_t take_number(std::string_view text, std::size_t& i)
{
    unsigned n = 0;
    for (; i < text.size() && is_digit(text[i]); i++)
        n = std::min<unsigned>(n * 10 + unsigned(text[i] - '0'), kMostWidth);
    return std::uint16_t(n);
}

// The one that begins with the "%" at `i`; moves behind it.
Conversion take_conversion(std::string_view text, std::size_t& i, std::size_t origin)
{
    const std::size_t begin = i++;
    Conversion c{.at = origin + begin};
    for (; i < text.size() && std::strchr("-0#+ ", text[i]) && text[i]; i++) {
        c.left |= text[i] == '-';
        c.zeros |= text[i] == '0';
        c.alternate |= text[i] == '#';
        c.plus |= text[i] == '+';
    }
    c.width = take_number(text, i);
    if (i < text.size() && text[i] == '.')
        c.precision = take_number(text, ++i);
    struct Modifier {
        std::string_view text;
        std::uint8_t bytes;
    };
    for (const auto& [modifier, bytes] : {Modifier{"hh", 1}, Modifier{"h", 2}, Modifier{"ll", 8},
                                          Modifier{"l", 8}, Modifier{"z", 8}, Modifier{"j", 8}})
        if (text.substr(i).starts_with(modifier)) {
            c.bytes = bytes;
            i += modifier.size();
            break;
        }
    const char letter = i < text.size() ? text[i] : '\0';
    c.length = std::min(i + 1, text.size()) - begin;
    if (!letter || !std::strchr("diuxXocspKU", letter))
        throw TextError(c.at, c.length,
                        cat("'", text.substr(begin, c.length), "' is no conversion"),
                        "there are %s %d %u %x %o %c %p %K %U with h, l or ll, and %%");
    i++;
    c.letter = letter == 'i' ? 'd' : letter == 'X' ? 'x' : letter;
    if (c.letter == 'p')
        c.bytes = 8;
    return c;
}

// What stands for a character behind a backslash.
char unescaped(char c) { return c == 't' ? '\t' : c == 'n' ? '\n' : c; }

} // namespace

MessageFormat::MessageFormat(Piece format, std::span<const Piece> arguments)
{
    const std::string_view text = format.text;
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == '\\' && i + 1 < text.size()) {
            texts.back() += unescaped(text[i + 1]);
            i += 2;
        } else if (text.substr(i).starts_with("%%")) {
            texts.back() += '%';
            i += 2;
        } else if (text[i] == '%') {
            conversions.push_back(take_conversion(text, i, format.at));
            texts.emplace_back();
        } else {
            texts.back() += text[i++];
        }
    }
    // A newline at the end is BCC's habit; each event is a line anyway.
    if (texts.back().ends_with('\n'))
        texts.back().pop_back();
    if (conversions.size() > arguments.size()) {
        const Conversion& c = conversions[arguments.size()];
        throw TextError(c.at, c.length,
                        cat("no argument for this conversion: the format has ", conversions.size(),
                            ", and ", arguments.size(),
                            arguments.size() == 1 ? " argument follows" : " arguments follow"));
    }
    if (arguments.size() > conversions.size()) {
        const Piece& p = arguments[conversions.size()];
        throw TextError(p.at, p.text.size(), "no conversion in the format for this argument",
                        "add %d, %s or another one");
    }
}

void append_padded(std::string& out, const Conversion& how, std::string_view text)
{
    if (how.precision != Conversion::kNoPrecision)
        text = text.substr(0, how.precision);
    const std::size_t pad = how.width > text.size() ? how.width - text.size() : 0;
    out.append(how.left ? 0 : pad, ' ');
    out += text;
    out.append(how.left ? pad : 0, ' ');
}

void append_number(std::string& out, const Conversion& how, std::uint64_t bits, bool is_signed)
{
    if (how.bytes < 4) {
        const unsigned unused = 64 - how.bytes * 8;
        bits <<= unused;
        bits = how.letter == 'd' ? std::uint64_t(std::int64_t(bits) >> unused) : bits >> unused;
    }
    // Of a register an int has the lower half. A number that has no more than that is one.
    if (how.letter == 'd' && how.bytes == 4 && !is_signed && bits >> 31 == 1)
        bits = std::uint64_t(std::int64_t(std::int32_t(bits)));
    if (how.letter == 'c') {
        const char c = char(bits);
        return append_padded(out, how, {&c, 1});
    }
    std::string digits, sign;
    if (how.letter == 'd') {
        const bool negative = std::int64_t(bits) < 0;
        sign = negative ? "-" : how.plus ? "+" : "";
        digits = cat(negative ? 0 - bits : bits);
    } else if (how.letter == 'u') {
        digits = cat(bits);
    } else if (how.letter == 'o') {
        char text[24];
        digits.assign(text, std::to_chars(text, text + sizeof text, bits, 8).ptr);
        sign = how.alternate ? "0" : "";
    } else {
        digits = to_hex(bits).substr(2);
        sign = how.alternate || how.letter == 'p' ? "0x" : "";
    }
    if (how.precision != Conversion::kNoPrecision && digits.size() < how.precision)
        digits.insert(0, how.precision - digits.size(), '0');
    const std::size_t used = sign.size() + digits.size();
    if (how.zeros && !how.left && used < how.width)
        digits.insert(0, how.width - used, '0');
    append_padded(out, {.left = how.left, .width = how.width}, sign + digits);
}

} // namespace corebox
