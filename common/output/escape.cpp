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
    const std::size_t n = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
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

void put_escape(std::string& out, std::uint8_t c)
{
    switch (c) {
    case '\n':
        out += "\\n";
        return;
    case '\t':
        out += "\\t";
        return;
    case '\r':
        out += "\\r";
        return;
    case '\\':
        out += "\\\\";
        return;
    default:
        out += "\\x";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
}

} // namespace

void escape_text(std::string& out, std::string_view s, bool column)
{
    const std::uint8_t stop = column ? kSpecial | kSpace : kSpecial;
    std::size_t plain = 0;
    while (plain < s.size() && !(kTextClass[std::uint8_t(s[plain])] & stop))
        plain++;
    out.append(s.data(), plain);
    while (plain < s.size()) {
        const auto c = std::uint8_t(s[plain]);
        std::uint32_t code = 0;
        if (!(kTextClass[c] & stop)) {
            out += char(c);
            plain++;
        } else if (c < 0x80) {
            put_escape(out, c);
            plain++;
        } else if (const auto n = utf8_sequence(s.substr(plain), &code); n && !reorders(code)) {
            out.append(s.data() + plain, n);
            plain += n;
        } else {
            put_escape(out, c);
            plain++;
        }
    }
}

bool escape_json(std::string& out, std::string_view s)
{
    bool lossy = false;
    std::size_t at = 0;
    while (at < s.size()) {
        std::size_t end = at;
        while (end < s.size() && kJsonClass[std::uint8_t(s[end])] == kPlain)
            end++;
        out.append(s.data() + at, end - at);
        if (end == s.size())
            break;
        at = end;
        const auto c = std::uint8_t(s[at]);
        std::uint32_t code = 0;
        if (c == '"' || c == '\\') {
            out += '\\';
            out += char(c);
            at++;
        } else if (c < 0x80) {
            // DEL too: valid JSON, but not on a terminal.
            out += "\\u00";
            out += kHex[c >> 4];
            out += kHex[c & 15];
            at++;
        } else if (const auto n = utf8_sequence(s.substr(at), &code); n == 0) {
            out += "\\ufffd";
            lossy = true;
            at++;
        } else if (reorders(code)) {
            const auto put_unit = [&](std::uint32_t unit) {
                out += "\\u";
                for (int shift = 12; shift >= 0; shift -= 4)
                    out += kHex[unit >> shift & 15];
            };
            if (code >= 0x10000)
                put_unit(0xd7c0 + (code >> 10)); // the surrogates' pair, RFC 8259 section 7
            put_unit(code >= 0x10000 ? 0xdc00 | (code & 0x3ff) : code);
            at += n;
        } else {
            out.append(s.data() + at, n);
            at += n;
        }
    }
    return lossy;
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

} // namespace corebox
