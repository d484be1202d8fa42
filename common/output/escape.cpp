// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/escape.hpp"
#include <array>
#include <cstdint>
#include <cstring>

namespace corebox
{
namespace
{

constexpr char kHex[] = "0123456789abcdef";

enum : std::uint8_t { kPlain = 0, kSpecial = 1, kSpace = 2 };

// Which bytes need a second look: control bytes, DEL, backslash, all beyond ASCII; and the space.
constexpr auto kTextClass = [] {
    std::array<std::uint8_t, 256> t{};
    for (int c = 0; c < 256; c++)
        t[std::size_t(c)] = c < 0x20 || c >= 0x7f || c == '\\' ? kSpecial : kPlain;
    t[' '] = kSpace;
    return t;
}();
constexpr auto kJsonClass = [] {
    std::array<std::uint8_t, 256> t{};
    for (int c = 0; c < 256; c++)
        t[std::size_t(c)] = c < 0x20 || c >= 0x7f || c == '\\' || c == '"' ? kSpecial : kPlain;
    return t;
}();

// Length of the valid UTF-8 sequence at the start of `s` (RFC 3629: no overlong forms, no
// surrogates, at most U+10FFFF), 0 if there is none; *code is its code point.
std::size_t utf8_sequence(std::string_view s, std::uint32_t* code)
{
    const auto byte = [&](std::size_t i) { return std::uint8_t(s[i]); };
    const std::uint8_t first = byte(0);
    const std::size_t n = first < 0xc2   ? 0
                          : first < 0xe0 ? 2
                          : first < 0xf0 ? 3
                          : first < 0xf5 ? 4
                                         : 0;
    if (n == 0 || s.size() < n)
        return 0;
    std::uint32_t c = first & (0xffu >> (n + 1));
    for (std::size_t i = 1; i < n; i++) {
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (byte(i) & 0x3f);
    }
    if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
        (c >= 0xd800 && c < 0xe000))
        return 0;
    *code = c;
    return n;
}

// Code points that move or hide other text: C1 controls, zero-width and direction marks, line and
// paragraph separators, isolates, the byte order mark, tags.
constexpr bool reorders(std::uint32_t c)
{
    return (c >= 0x80 && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c < 0xe0080);
}

char* put(char* out, std::string_view s)
{
    std::memcpy(out, s.data(), s.size());
    return out + s.size();
}

char* put_escape(char* out, std::uint8_t c)
{
    switch (c) {
    case '\n':
        return put(out, "\\n");
    case '\t':
        return put(out, "\\t");
    case '\r':
        return put(out, "\\r");
    case '\\':
        return put(out, "\\\\");
    default:
        out = put(out, "\\x");
        *out++ = kHex[c >> 4];
        *out++ = kHex[c & 15];
        return out;
    }
}

// Whether all eight bytes are in 0x21..0x7e and none is a backslash or `special`: names of traced
// things mostly are, and looking at each byte of them was a quarter of the cost of a row.
bool all_plain(std::uint64_t word, std::uint8_t special)
{
    constexpr std::uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
    const auto zero_byte = [](std::uint64_t w) { return (w - kOnes) & ~w & kHigh; };
    return ((word | (word - kOnes * 0x21) | (word + kOnes)) & kHigh) == 0 &&
           zero_byte(word ^ kOnes * '\\') == 0 && zero_byte(word ^ kOnes * special) == 0;
}

// Copies the plain start of `s`; the rest is for a closer look.
char* put_plain_words(char* out, std::string_view& s, std::uint8_t special)
{
    while (s.size() >= 8) {
        std::uint64_t word;
        std::memcpy(&word, s.data(), 8);
        if (!all_plain(word, special))
            break;
        std::memcpy(out, &word, 8);
        out += 8;
        s.remove_prefix(8);
    }
    if (s.size() >= 4 && s.size() < 8) { // the rest as two halves that overlap
        std::uint32_t low, high;
        std::memcpy(&low, s.data(), 4);
        std::memcpy(&high, s.data() + s.size() - 4, 4);
        if (all_plain(std::uint64_t(high) << 32 | low, special)) {
            std::memcpy(out, &low, 4);
            std::memcpy(out + s.size() - 4, &high, 4);
            out += s.size();
            s = {};
        }
    }
    return out;
}

} // namespace

char* escape_text(char* out, std::string_view s, bool column, bool& plain)
{
    const std::uint8_t stop = column ? kSpecial | kSpace : kSpecial;
    out = put_plain_words(out, s, '\\');
    for (std::size_t at = 0; at < s.size();) {
        const auto c = std::uint8_t(s[at]);
        std::uint32_t code = 0;
        if (!(kTextClass[c] & stop)) {
            *out++ = char(c);
            at++;
        } else if (c < 0x80) {
            out = put_escape(out, c);
            at++;
        } else if (const auto n = utf8_sequence(s.substr(at), &code); n && !reorders(code)) {
            plain = false;
            out = put(out, s.substr(at, n));
            at += n;
        } else {
            out = put_escape(out, c);
            at++;
        }
    }
    return out;
}

char* escape_json(char* out, std::string_view s, bool& lossy)
{
    out = put_plain_words(out, s, '"');
    for (std::size_t at = 0; at < s.size();) {
        const auto c = std::uint8_t(s[at]);
        std::uint32_t code = 0;
        if (kJsonClass[c] == kPlain) {
            *out++ = char(c);
            at++;
        } else if (c == '"' || c == '\\') {
            *out++ = '\\';
            *out++ = char(c);
            at++;
        } else if (c < 0x80) {
            // DEL too: valid JSON, but not on a terminal.
            out = put(out, "\\u00");
            *out++ = kHex[c >> 4];
            *out++ = kHex[c & 15];
            at++;
        } else if (const auto n = utf8_sequence(s.substr(at), &code); n == 0) {
            out = put(out, "\\ufffd");
            lossy = true;
            at++;
        } else if (reorders(code)) {
            const auto put_unit = [&](std::uint32_t unit) {
                out = put(out, "\\u");
                for (int shift = 12; shift >= 0; shift -= 4)
                    *out++ = kHex[unit >> shift & 15];
            };
            if (code >= 0x10000) // a surrogate pair, RFC 8259 section 7
                put_unit(0xd7c0 + (code >> 10));
            put_unit(code < 0x10000 ? code : 0xdc00 | (code & 0x3ff));
            at += n;
        } else {
            out = put(out, s.substr(at, n));
            at += n;
        }
    }
    return out;
}

void escape_text(std::string& out, std::string_view s, bool column)
{
    const std::size_t before = out.size();
    out.resize(before + s.size() * kEscapeGrowth);
    bool plain = true;
    out.resize(std::size_t(escape_text(out.data() + before, s, column, plain) - out.data()));
}

bool escape_json(std::string& out, std::string_view s)
{
    const std::size_t before = out.size();
    out.resize(before + s.size() * kEscapeGrowth);
    bool lossy = false;
    out.resize(std::size_t(escape_json(out.data() + before, s, lossy) - out.data()));
    return lossy;
}

void encode_base64(std::string& out, std::string_view s)
{
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < s.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = i; j < i + 3; j++)
            group = group << 8 | (j < s.size() ? std::uint8_t(s[j]) : 0u);
        for (std::size_t j = 0; j < 4; j++)
            out += i + j > s.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63];
    }
}

void quote_csv(std::string& out, std::string_view s)
{
    if (s.find_first_of(",\" ") == s.npos) {
        out += s;
        return;
    }
    out += '"';
    for (const char c : s) {
        if (c == '"')
            out += '"';
        out += c;
    }
    out += '"';
}

void escape_quoted(std::string& out, std::string_view s, bool column)
{
    out += '"';
    for (auto end = s.find('"'); end != s.npos; end = s.find('"')) {
        escape_text(out, s.substr(0, end), column);
        out += "\\\"";
        s.remove_prefix(end + 1);
    }
    escape_text(out, s, column);
    out += '"';
}

} // namespace corebox
