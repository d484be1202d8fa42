// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Declarations of a header that the user gives.
#include "base/text.hpp"
#include "expr/declarations.hpp"
#include "expr/parse.hpp"
#include <cstddef>
#include <gtest/gtest.h>

namespace corebox::expr
{
namespace
{

// The layout that a compiler gives the same text.
#define HEADER                                                                                     \
    struct later;                                                                                  \
    typedef unsigned long word_t;                                                                  \
    enum color { RED, GREEN = 5, BLUE = GREEN << 1 };                                              \
    static inline int f(int a) { return a; }                                                       \
    struct inner {                                                                                 \
        char c;                                                                                    \
        short s;                                                                                   \
    };                                                                                             \
    struct later {                                                                                 \
        char tag;                                                                                  \
        struct later *next, *other;                                                                \
        word_t words[2][3];                                                                        \
        enum color color;                                                                          \
        unsigned a : 3, b : 7;                                                                     \
        unsigned long c : 40;                                                                      \
        unsigned : 0;                                                                              \
        unsigned char d : 1;                                                                       \
        union {                                                                                    \
            int number;                                                                            \
            struct inner pair;                                                                     \
        };                                                                                         \
        int (*call)(int, int);                                                                     \
        struct inner in[3];                                                                        \
        char name[13];                                                                             \
    };                                                                                             \
    struct tight {                                                                                 \
        char c;                                                                                    \
        int n;                                                                                     \
        long l;                                                                                    \
    } __attribute__((packed));                                                                     \
    typedef struct {                                                                               \
        int x, y;                                                                                  \
    } point;
#define TEXT_OF(...) #__VA_ARGS__
#define TEXT(...) TEXT_OF(__VA_ARGS__)

namespace compiled
{
HEADER
}

TEST(ExprHeader, HasTheCompilersLayout)
{
    Types types;
    add_declarations(types,
                     cat("// it's\n#include <x.h>\n#define LIMIT 0x40 /* \"*/\n", TEXT(HEADER)));
    Code code(types);
    const auto number = [&](std::string_view text) {
        try {
            return std::int64_t(code[parse_value(code, {}, text).node].value);
        } catch (const TextError& error) {
            ADD_FAILURE() << point_at(text, error);
            return std::int64_t(-1);
        }
    };
    using compiled::later;
    const std::pair<const char*, std::size_t> all[] = {
        {"sizeof(struct later)", sizeof(later)},
        {"sizeof(struct tight)", sizeof(compiled::tight)},
        {"sizeof(point)", sizeof(compiled::point)},
        {"offsetof(struct later, other)", offsetof(later, other)},
        {"offsetof(struct later, words[1][2])", offsetof(later, words[1][2])},
        {"offsetof(struct later, color)", offsetof(later, color)},
        {"offsetof(struct later, pair.s)", offsetof(later, pair.s)},
        {"offsetof(struct later, call)", offsetof(later, call)},
        {"offsetof(struct later, in[2].s)", offsetof(later, in[2].s)},
        {"offsetof(struct later, name)", offsetof(later, name)},
        {"offsetof(struct tight, l)", offsetof(compiled::tight, l)},
        {"BLUE + LIMIT", 74}};
    for (const auto& [text, value] : all)
        EXPECT_EQ(number(text), std::int64_t(value)) << text;
    // Bitfields: where the compiler puts their bits.
    const std::pair<const char*, void (*)(later&)> fields[] = {
        {"a", [](later& l) { l.a = 7; }},
        {"b", [](later& l) { l.b = 127; }},
        {"c", [](later& l) { l.c = (1ul << 40) - 1; }},
        {"d", [](later& l) { l.d = 1; }}};
    for (const auto& [name, set] : fields) {
        later value{};
        set(value);
        std::string set_bits, member_bits;
        for (unsigned bit = 0; bit < sizeof value * 8; bit++)
            if (reinterpret_cast<const unsigned char*>(&value)[bit / 8] >> bit % 8 & 1)
                set_bits += cat(bit, " ");
        const auto member = types.member(*types.find("struct", "later"), name);
        ASSERT_TRUE(member) << name;
        for (unsigned bit = 0; bit < member->bits; bit++)
            member_bits += cat(member->bit + bit, " ");
        EXPECT_EQ(member_bits, set_bits) << name;
    }
    EXPECT_EQ(types[types.member(*types.find("struct", "later"), "next")->type].name,
              "struct later *");
}

TEST(ExprHeader, Malformed)
{
    for (const std::string_view header : {"struct",
                                          "struct a",
                                          "struct a {",
                                          "struct a { int",
                                          "struct a { int x",
                                          "struct a { int x : 99; };",
                                          "struct a { struct a b; };",
                                          "struct a { foo x; };",
                                          "enum { A = }",
                                          "enum { A = x }",
                                          "enum {",
                                          "typedef",
                                          "typedef int",
                                          "typedef foo x;",
                                          "struct a { int (x); };",
                                          "struct a { int (*x; };",
                                          "struct a { char x[268435455]; char y[268435455]; };",
                                          "\"",
                                          "/*",
                                          "#define A 1 \\",
                                          "struct a { char c } __attribute__((",
                                          "}",
                                          "int f() {",
                                          "struct a { struct { struct {"}) {
        Types types;
        try {
            add_declarations(types, header);
        } catch (const TextError& error) {
            EXPECT_LE(error.at, header.size() + 1) << header;
        }
    }
    std::string deep;
    for (int i = 0; i < 10'000; i++)
        deep += "struct {";
    Types types;
    EXPECT_THROW(add_declarations(types, deep), TextError);
}

} // namespace
} // namespace corebox::expr
