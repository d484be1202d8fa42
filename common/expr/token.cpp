// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/token.hpp"
#include "base/text.hpp"
#include "expr/parse.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <cstring>

namespace corebox::expr
{

namespace
{

constexpr std::string_view kSpellings[] = {
    "->", "==", "!=", "<=", ">=", "<<", ">>", "&&", "||", "=~", "...", "..", "<",
    ">",  "+",  "-",  "*",  "/",  "%",  "&",  "|",  "^",  "~",  "!",   "?",  ":",
    ";",  ",",  ".",  "@",  "=",  "(",  ")",  "[",  "]",  "{",  "}"};

struct UnitName {
    std::string_view name;
    Number::Unit unit;
    std::uint64_t factor;
};
constexpr UnitName kUnits[] = {
    {"ns", Number::Unit::time, 1},         {"us", Number::Unit::time, 1000},
    {"ms", Number::Unit::time, 1000'000},  {"s", Number::Unit::time, 1000'000'000},
    {"k", Number::Unit::size, 1ull << 10}, {"K", Number::Unit::size, 1ull << 10},
    {"M", Number::Unit::size, 1ull << 20}, {"G", Number::Unit::size, 1ull << 30},
    {"T", Number::Unit::size, 1ull << 40},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

class Lexer
{
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    std::vector<Token> read_all(std::size_t longest)
    {
        if (text_.size() > longest)
            throw TextError(longest, 1, cat("longer than ", longest, " bytes"));
        std::vector<Token> tokens;
        do
            tokens.push_back(read());
        while (tokens.back().sign != Sign::end);
        return tokens;
    }

private:
    char peek(std::size_t ahead = 0) const
    {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    std::string_view rest() const { return text_.substr(at_); }
    template <class Is>
    std::string_view run(Is&& is, std::size_t most = kLongestText) const
    {
        std::size_t n = 0;
        while (n < most && at_ + n < text_.size() && is(text_[at_ + n]))
            n++;
        return text_.substr(at_, n);
    }
    [[noreturn]] void refuse(std::size_t from, const std::string& what, std::string hint = {}) const
    {
        throw TextError(from, std::max<std::size_t>(at_ - from, 1), what, std::move(hint));
    }

    Token read()
    {
        while (at_ < text_.size() && std::strchr(" \t\n\r", text_[at_]) && text_[at_] != '\0')
            at_++;
        Token t;
        const std::size_t from = at_;
        t.at = std::uint32_t(from);
        if (at_ == text_.size())
            return t;
        const char c = peek();
        if (read_address(t))
            t.sign = Sign::address;
        else if (is_letter(c) || c == '$') {
            t.sign = Sign::name;
            at_++;
            at_ += run([](char x) { return is_letter(x) || is_digit(x); }).size();
        } else if (is_digit(c)) {
            t.sign = Sign::number;
            read_number(t.number);
        } else if (c == '\'') {
            t.sign = Sign::number;
            t.number.value = read_character();
        } else if (c == '"') {
            t.sign = Sign::text;
            t.text = read_text();
        } else
            read_operator(t);
        t.length = std::uint32_t(at_ - from);
        t.word = text_.substr(from, t.length);
        return t;
    }

    void read_operator(Token& t)
    {
        for (std::size_t i = 0; i < std::size(kSpellings); i++)
            if (rest().starts_with(kSpellings[i])) {
                at_ += kSpellings[i].size();
                t.sign = Sign(std::size_t(Sign::arrow) + i);
                return;
            }
        at_++;
        refuse(at_ - 1, "unexpected character");
    }

    // An IPv4, IPv6 or MAC address, and the length of its prefix.
    bool read_address(Token& t)
    {
        const std::string_view word =
            run([](char c) { return is_hex(c) || c == ':' || c == '.'; }, INET6_ADDRSTRLEN);
        if (at_ > 0 && is_letter(text_[at_ - 1]))
            return false;
        const auto colons = std::ranges::count(word, ':'), dots = std::ranges::count(word, '.');
        const std::string copy(word);
        Address& a = t.address;
        if (colons == 5 && word.size() == 17 && dots == 0) {
            for (std::size_t i = 0; i < 6; i++) {
                const auto byte = to_number<std::uint8_t>(word.substr(3 * i, 2), 16);
                if (!byte || (i < 5 && word[3 * i + 2] != ':'))
                    return false;
                a.bytes[i] = *byte;
            }
            a.size = 6;
        } else if (colons >= 2 && ::inet_pton(AF_INET6, copy.c_str(), a.bytes.data()) == 1)
            a.size = 16;
        else if (dots == 3 && ::inet_pton(AF_INET, copy.c_str(), a.bytes.data()) == 1)
            a.size = 4;
        else
            return false;
        const std::size_t from = at_;
        at_ += word.size();
        a.prefix = std::uint8_t(a.size * 8);
        if (a.size == 6 || peek() != '/' || !is_digit(peek(1)))
            return true;
        at_++;
        const std::string_view digits = run(is_digit);
        at_ += digits.size();
        const auto prefix = to_number<std::uint8_t>(digits);
        if (!prefix || *prefix > a.size * 8)
            refuse(from, "no such prefix length", cat("0 to ", a.size * 8));
        a.prefix = *prefix;
        return true;
    }

    void read_number(Number& n)
    {
        const std::size_t from = at_;
        int base = 10;
        if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X')) {
            base = 16;
            at_ += 2;
        } else if (peek() == '0' && (peek(1) == 'b' || peek(1) == 'B')) {
            base = 2;
            at_ += 2;
        } else if (peek() == '0' && is_digit(peek(1)))
            base = 8;
        n.is_decimal = base == 10;
        std::string digits(base == 16 ? run(is_hex) : run(is_digit));
        at_ += digits.size();
        if (base == 10 && peek() == '.' && is_digit(peek(1))) {
            at_++;
            std::string_view fraction = run(is_digit);
            at_ += fraction.size();
            fraction = fraction.substr(0, fraction.find_last_not_of('0') + 1);
            digits += fraction;
            n.decimals = std::uint8_t(std::min<std::size_t>(fraction.size(), 255));
        }
        const std::string_view suffix = run([](char c) { return is_letter(c) || is_digit(c); });
        at_ += suffix.size();
        const auto value = to_number<std::uint64_t>(digits, base);
        if (!value && (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos ||
                       (base != 10 && digits.size() < 17)))
            refuse(from, "malformed number");
        if (!value || n.decimals > 18)
            refuse(from, "the number has more than 64 bits");
        n.value = *value;
        if (!suffix.empty())
            read_suffix(n, suffix, from);
    }

    void read_suffix(Number& n, std::string_view suffix, std::size_t from)
    {
        for (const UnitName& u : kUnits)
            if (suffix == u.name) {
                unsigned __int128 value = static_cast<unsigned __int128>(n.value) * u.factor;
                for (; n.decimals > 0; n.decimals--) {
                    if (value % 10 != 0)
                        refuse(from, u.unit == Number::Unit::time ? "finer than a nanosecond"
                                                                  : "not a whole number");
                    value /= 10;
                }
                if (value >> 63 != 0)
                    refuse(from, "the number has more than 64 bits");
                n.value = std::uint64_t(value);
                n.unit = u.unit;
                return;
            }
        unsigned u = 0, l = 0, other = 0;
        for (const char c : suffix)
            (c == 'u' || c == 'U' ? u : c == 'l' || c == 'L' ? l : other)++;
        if (other > 0 || u > 1 || l > 2 || n.decimals > 0)
            refuse(from, cat("malformed number; no unit '", suffix, "'"),
                   "units are ns us ms s and k M G T");
        n.is_unsigned = u > 0;
        n.is_long = l > 0;
    }

    // What follows a backslash.
    void read_escape(std::string& out)
    {
        const std::size_t from = at_++;
        const char c = peek();
        constexpr std::string_view kLetters = "ntrabfve", kValues = "\n\t\r\a\b\f\v\x1b";
        unsigned value = 0;
        if (const auto i = kLetters.find(c); i != kLetters.npos && c != '\0') {
            at_++;
            out += kValues[i];
        } else if (c == 'x' && is_hex(peek(1))) {
            at_++;
            for (int n = 0; n < 2 && is_hex(peek()); n++, at_++)
                value = value * 16 + *to_number<unsigned>(rest().substr(0, 1), 16);
            out += char(value);
        } else if (c >= '0' && c <= '7') {
            for (int n = 0; n < 3 && peek() >= '0' && peek() <= '7'; n++, at_++)
                value = value * 8 + unsigned(peek() - '0');
            out += char(value);
        } else if (c == '\\' || c == '"' || c == '\'') {
            at_++;
            out += c;
        } else if (c == '\0' || is_letter(c) || is_digit(c)) {
            at_ += c != '\0';
            refuse(from, "unknown escape sequence");
        } else
            out += '\\'; // before *, ? or . it is the pattern's
    }

    std::uint64_t read_character()
    {
        const std::size_t from = at_++;
        std::string bytes;
        if (peek() == '\\')
            read_escape(bytes);
        else if (peek() != '\'' && at_ < text_.size())
            bytes += text_[at_++];
        if (bytes.size() != 1 || peek() != '\'')
            refuse(from, "malformed character", "texts are in double quotes");
        at_++;
        return std::uint64_t(std::int64_t(static_cast<signed char>(bytes[0])));
    }

    std::string read_text()
    {
        const std::size_t from = at_++;
        std::string text;
        while (at_ < text_.size() && text_[at_] != '"') {
            if (text_[at_] == '\\')
                read_escape(text);
            else
                text += text_[at_++];
        }
        if (at_ == text_.size())
            refuse(from, "the text has no closing quote");
        at_++;
        if (text.find('\0') != text.npos)
            refuse(from, "a text ends at its first NUL");
        return text;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

} // namespace

std::vector<Token> read_tokens(std::string_view text, std::size_t longest)
{
    return Lexer(text).read_all(longest);
}

} // namespace corebox::expr
