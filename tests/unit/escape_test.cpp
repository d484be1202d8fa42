// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whatever bytes a traced process puts into a name, what leaves is harmless and loses nothing.
#include "output/escape.hpp"
#include <cstdint>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <vector>

namespace corebox
{
namespace
{

// A second, independent reading of RFC 3629: the code points, or nullopt where it is not UTF-8.
std::optional<std::u32string> decode_utf8(std::string_view s)
{
    std::u32string out;
    for (std::size_t i = 0; i < s.size();) {
        const auto lead = std::uint8_t(s[i]);
        const std::size_t n = lead < 0x80       ? 1
                              : lead >> 5 == 6  ? 2
                              : lead >> 4 == 14 ? 3
                              : lead >> 3 == 30 ? 4
                                                : 0;
        if (n == 0 || i + n > s.size())
            return std::nullopt;
        char32_t c = n == 1 ? lead : lead & (0x7f >> n);
        for (std::size_t k = 1; k < n; k++) {
            if ((std::uint8_t(s[i + k]) & 0xc0) != 0x80)
                return std::nullopt;
            c = c << 6 | (std::uint8_t(s[i + k]) & 0x3f);
        }
        constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
        if (c < kLeast[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return std::nullopt;
        out += c;
        i += n;
    }
    return out;
}

std::string encode_utf8(char32_t c)
{
    if (c < 0x80)
        return {char(c)};
    if (c < 0x800)
        return {char(0xc0 | c >> 6), char(0x80 | (c & 0x3f))};
    if (c < 0x10000)
        return {char(0xe0 | c >> 12), char(0x80 | (c >> 6 & 0x3f)), char(0x80 | (c & 0x3f))};
    return {char(0xf0 | c >> 18), char(0x80 | (c >> 12 & 0x3f)), char(0x80 | (c >> 6 & 0x3f)),
            char(0x80 | (c & 0x3f))};
}

// Unicode's own classes Cc, Zl, Zp and the format characters that reorder or hide text.
bool is_dangerous(char32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
           (c >= 0xe0000 && c <= 0xe007f);
}

std::string unescape_text(std::string_view s)
{
    std::string out;
    for (std::size_t i = 0; i < s.size(); i++) {
        if (s[i] != '\\') {
            out += s[i];
            continue;
        }
        switch (s[++i]) {
        case 'n':
            out += '\n';
            break;
        case 't':
            out += '\t';
            break;
        case 'r':
            out += '\r';
            break;
        case '\\':
            out += '\\';
            break;
        case 'x':
            out += char(std::stoi(std::string(s.substr(i + 1, 2)), nullptr, 16));
            i += 2;
            break;
        default:
            ADD_FAILURE() << "no such escape: \\" << s[i];
        }
    }
    return out;
}

std::string text(std::string_view s, bool column = false)
{
    std::string out;
    escape_text(out, s, column);
    return out;
}

// Names as an attacker would make them: random bytes, valid and nearly valid UTF-8, terminal
// sequences, quotes, ends in the middle of a sequence.
std::vector<std::string> hostile_names()
{
    std::mt19937 random(20240101);
    const auto below = [&](unsigned n) { return unsigned(random() % n); };
    const char* const pieces[] = {"\x1b[31m",     "\x1b]0;title\a",
                                  "\r\n",         "\\n",
                                  "\\x1b",        "\"",
                                  "\\",           " ",
                                  "\xc2\x9b",     ",",
                                  "\u202e",       "\ufeff",
                                  "\xf0\x9f",     "\xc0\x80",
                                  "\xed\xa0\x80", "\u00e9",
                                  "\u4e16",       "\U0001f600"};
    std::vector<std::string> names;
    for (int i = 0; i < 20'000; i++) {
        std::string name;
        for (unsigned n = below(12); n > 0; n--) {
            switch (below(4)) {
            case 0:
                name += char(below(256));
                break;
            case 1:
                name += char(0x20 + below(95));
                break;
            case 2:
                name += pieces[below(std::size(pieces))];
                break;
            case 3:
                if (const char32_t c = below(0x110000); c < 0xd800 || c > 0xdfff)
                    name += encode_utf8(c);
            }
        }
        names.push_back(std::move(name));
    }
    for (unsigned c = 0; c < 0x3000; c++)
        names.push_back(encode_utf8(c));
    for (unsigned c = 0xe0000; c < 0xe0100; c++)
        names.push_back(encode_utf8(c));
    for (unsigned c = 0; c < 0x10000; c++)
        names.push_back({char(c >> 8), char(c)});
    return names;
}

TEST(EscapeText, NothingDangerousLeavesAndNothingIsLost)
{
    for (const std::string& name : hostile_names())
        for (const bool column : {false, true}) {
            const std::string out = text(name, column);
            const auto code_points = decode_utf8(out);
            ASSERT_TRUE(code_points) << out;
            for (const char32_t c : *code_points)
                ASSERT_FALSE(is_dangerous(c)) << std::hex << unsigned(c) << " in " << out;
            ASSERT_EQ(unescape_text(out), name);
            if (column) {
                ASSERT_EQ(out.find(' '), out.npos);
            }
        }
}

TEST(EscapeText, Literals)
{
    EXPECT_EQ(text(""), "");
    EXPECT_EQ(text("plain name"), "plain name");
    EXPECT_EQ(text("plain name", true), "plain\\x20name");
    EXPECT_EQ(text("a\nb\tc\rd\\e"), "a\\nb\\tc\\rd\\\\e");
    EXPECT_EQ(text("\x1b[31mred\x1b[0m"), "\\x1b[31mred\\x1b[0m");
    EXPECT_EQ(text(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
    EXPECT_EQ(text("\xff\xfe"), "\\xff\\xfe");
    EXPECT_EQ(text("caf\u00e9 \u4e16\u754c \U0001f600"), "caf\u00e9 \u4e16\u754c \U0001f600");
    EXPECT_EQ(text("\u202e"), "\\xe2\\x80\\xae"); // right-to-left override
    EXPECT_EQ(text("\xc2\x9b"), "\\xc2\\x9b");    // CSI as a C1 control
    EXPECT_EQ(text("\xc0\xaf"), "\\xc0\\xaf");    // overlong '/'
    EXPECT_EQ(text("\xe4\xb8"), "\\xe4\\xb8");    // cut in the middle of a character
}

TEST(EscapeJson, ParsesAndRoundTrips)
{
    for (const std::string& name : hostile_names()) {
        std::string out = "\"";
        const bool lossy = escape_json(out, name);
        out += '"';
        const auto code_points = decode_utf8(out);
        ASSERT_TRUE(code_points) << name;
        for (const char32_t c : *code_points)
            ASSERT_FALSE(is_dangerous(c)) << std::hex << unsigned(c) << " in " << out;
        const auto parsed = nlohmann::json::parse(out);
        ASSERT_EQ(lossy, !decode_utf8(name)) << out;
        if (!lossy) {
            ASSERT_EQ(parsed.get<std::string>(), name);
        }
    }
}

TEST(EscapeJson, Literals)
{
    const auto json = [](std::string_view s) {
        std::string out;
        escape_json(out, s);
        return out;
    };
    EXPECT_EQ(json("a\"b\\c"), "a\\\"b\\\\c");
    EXPECT_EQ(json("\n\x1b\x7f"), "\\u000a\\u001b\\u007f");
    EXPECT_EQ(json("\u00e9"), "\u00e9");
    EXPECT_EQ(json("a\xff"), "a\\ufffd");
    EXPECT_EQ(json("\u202e"), "\\u202e");
    EXPECT_EQ(json("\U000e0041"), "\\udb40\\udc41");
}

TEST(QuoteCsv, Rfc4180)
{
    const auto csv = [](std::string_view s) {
        std::string out;
        quote_csv(out, s);
        return out;
    };
    EXPECT_EQ(csv("plain"), "plain");
    EXPECT_EQ(csv(""), "");
    EXPECT_EQ(csv("a,b"), "\"a,b\"");
    EXPECT_EQ(csv("say \"hi\""), "\"say \"\"hi\"\"\"");
    EXPECT_EQ(csv("two words"), "\"two words\"");
}

} // namespace
// The vectors of RFC 4648, and bytes that are no text.
TEST(Escape, Base64)
{
    const auto encoded = [](std::string_view text) {
        std::string out;
        encode_base64(out, text);
        return out;
    };
    EXPECT_EQ(encoded(""), "");
    EXPECT_EQ(encoded("f"), "Zg==");
    EXPECT_EQ(encoded("fo"), "Zm8=");
    EXPECT_EQ(encoded("foo"), "Zm9v");
    EXPECT_EQ(encoded("foob"), "Zm9vYg==");
    EXPECT_EQ(encoded(std::string_view("\xff\0\xfe", 3)), "/wD+");
}

} // namespace corebox
