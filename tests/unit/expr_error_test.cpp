// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is said where a text is no expression, and texts that mean harm.
#include "expr_place.hpp"
#include <gmock/gmock.h>

namespace corebox::expr
{
namespace
{

using ExprError = ExprParse;

TEST_F(ExprError, NamesThePlace)
{
    const Golden all[] = {
        {"sk->[[foo]]", "no member 'foo' in struct sock; its members: __sk_common, sk_state, "
                        "sk_name, sk_load, sk_flags, sk_gone"},
        {"sk->[[__sk_comon]]",
         "no member '__sk_comon' in struct sock; did you mean '__sk_common'?"},
        {"sk->[[skc_dport]]",
         "no member 'skc_dport' in struct sock; did you mean '__sk_common.skc_dport'?"},
        {"sk->sk_gone.[[x]]", "no member 'x' in struct gone, of which only the name is known"},
        {"sk.[[sk_name]]",
         "'.' needs a structure, this is 'struct sock *'; did you mean '->sk_name'?"},
        {"[[arg1]]->x", "'->' needs a pointer to a structure, this is 'unsigned long'; cast it: "
                        "((struct NAME *)value)->member"},
        {"[[sk->sk_name]]->x", "'->' needs a pointer to a structure, this is 'char *'; cast it: "
                               "((struct NAME *)value)->member"},
        {"[[n]]->x", "'->' needs a pointer to a structure, this is 'int'"},
        {"[[retvl]] < 0", "unknown name 'retvl'; did you mean 'retval'?"},
        {"[[args]]", "this place has no fields; use arg1"},
        {"[[unknown]]", "unknown name 'unknown'"},
        {"[[sk->sk_load]] > 1", "floating-point values are not supported, this is 'double'"},
        {"[[(]]float)n", "floating-point values are not supported, this casts to 'float'"},
        {"[[sk->__sk_common]] > 1", "a structure is no value, this is 'struct sock_common'; take a "
                                    "member, or its address with '&'"},
        {"[[n]] == \"a\"", "a text is compared with a text, this is 'int'"},
        {"[[arg1]] == \"a\"", "a text is compared with a text, this is 'unsigned long'; str(value) "
                              "is the text at an address"},
        {"[[comm]] == 1", "a number is compared with 'char[16]'; texts are in double quotes"},
        {"[[comm]] && n", "an array is no condition, this is 'char[16]'; compare it: == \"text\""},
        {"\"a\" [[==]] \"b\"", "both sides are texts as they are written"},
        {"comm [[>]] \"a\"", "texts are compared by == and != and ~ and =~ only"},
        {"[[n]] ~ \"a\"", "a text is compared with a text, this is 'int'"},
        {"n ~ [[3]]", "expected a pattern in double quotes after '~'"},
        {"comm ~ [[\"[a\"]]", "'[' without ']' in the pattern"},
        {"comm =~ [[\"(\"]]", "malformed regular expression: Unmatched ( or \\("},
        {"comm == [[\"0123456789abcdefg\"]]",
         "never equal: the text has at most 16 bytes, this has 17"},
        {"comm == [[\"abc]]", "the text has no closing quote"},
        {"n ==[[]]", "the expression ends where a value is expected"},
        {"(n[[]]", "the expression ends where ')' is expected"},
        {"n[[)]]", "unexpected ')'"},
        {"n [[n]]", "unexpected 'n'"},
        {"n + [[*]] 2", "'*' needs a pointer, this is 'int'"},
        {"n ? 1[[]]", "the expression ends where ':' is expected"},
        {"n in [[3]]", "expected a set {a, b}, a range a..b or a network 10.0.0.0/8"},
        {"n in {1, 2[[]]", "the expression ends where '}' is expected"},
        {"n in 9[[..]]1", "the range is empty"},
        {"n [[=]] 1", "unexpected '='; did you mean '=='?"},
        {"n [[#]]", "unexpected character"},
        {"[[08]]", "malformed number"},
        {"[[0xg]]", "malformed number"},
        {"[[1.5]]", "a fraction is compared with columns that have one only"},
        {"[[1.5x]]", "malformed number; no unit 'x'; units are ns us ms s and k M G T"},
        {"[[99999999999999999999]]", "the number has more than 64 bits"},
        {"[['a]]b'", "malformed character; texts are in double quotes"},
        {"[[']]'", "malformed character; texts are in double quotes"},
        {"[[']]", "malformed character; texts are in double quotes"},
        {"\"[[\\q]]\"", "unknown escape sequence"},
        {"[[foo]](1)", "unknown function 'foo'"},
        {"[[STRCM]](\"a\", arg1)", "unknown function 'STRCM'; did you mean 'STRCMP'?"},
        {"STRCMP([[arg1]], arg2)", "STRCMP(\"text\", value): expected a text in double quotes"},
        {"[[str]]()", "str() takes 1 or 2 arguments"},
        {"str(arg1, [[5000]])", "expected a size of 1 to 4096"},
        {"([[struct sok]] *)arg1", "unknown type 'struct sok'; did you mean 'struct sock'?"},
        {"(struct)[[arg1]]", "unexpected 'arg1'"},
        {"(strct [[sock]] *)arg1", "expected ')'"},
        {"sizeof([[struct gone]])", "unknown type 'struct gone'"},
        {"offsetof(struct sock, [[foo]])",
         "no member 'foo' in struct sock; its members: __sk_common, sk_state, sk_name, sk_load, "
         "sk_flags, sk_gone"},
        {"[[&]]sk->__sk_common.skc_reuse", "a bitfield has no address"},
        {"[[&]]n", "'&' needs something in memory"},
        {"[[*]]n", "'*' needs a pointer, this is 'int'"},
        {"[[*]](void *)arg1",
         "the pointer does not say to what it points; cast it: *(unsigned int *)pointer"},
        {"n[[[]]1]", "'[' needs an array or a pointer, this is 'int'"},
        {"n [[/]] 0", "division by zero"},
        {"enum([[foo]], n)", "unknown type 'foo'"},
        {"flags([[sock]], n)", "'struct sock' is no enumeration"},
        {"arg1@[[usr]]", "unknown space 'usr'; '@user' or '@kernel'"},
        {"[[10.0.0.1]]", "an address as it is written is no value"},
        {"[[10.0.0.0/33]]", "no such prefix length; 0 to 32"},
        {"[[comm]] == 10.0.0.1", "an address of 16 bytes is compared with 'char[16]'"},
        {"lat_us == [[1.0001]]", "never equal: the column has no such fraction"},
        {"n > [[1.5]]", "a fraction is compared with columns that have one only"},
        {"sk [[+]] sk", "two pointers cannot be added"},
        {"[[-]]sk", "'sk' is a pointer"},
        {"[[(]]struct sock)arg1", "no value can be cast to 'struct sock'; a pointer to it can"},
        {"[[\"abc\"]]", "a text as it is written is no value"},
        {"lat_us > [[99999999999999s]]", "the number has more than 64 bits"},
        {"1[[..]]2", "unexpected '..'"},
        {"sk->[[]]", "the expression ends where a member's name is expected"},
        {"sk->[[1]]", "expected a member's name"},
        {"n [[?]] comm : 1", "'?:' chooses between a pointer and a number; cast one of them"},
        {"mac([[n]])", "this is no address but 'int'"},
        {"buf([[sk->sk_name]], 17)", "this has 16 bytes only, not 17"},
        {"[[ip]](n) == \"a\"", "a text is compared with a text, this is 'unsigned int'"},
        {"[[$entry]](1, 2)", "unknown function '$entry'"},
    };
    expect_errors(all);
}

TEST_F(ExprError, PointsIntoLongTexts)
{
    const std::string text = cat(std::string(200, ' '), "\tfoo\x01", std::string(200, ' '));
    const TextError error(201, 3, "unknown name 'foo'");
    EXPECT_EQ(point_at(text, error), cat("...", std::string(60, ' '), "foo?", std::string(39, ' '),
                                         "...\n", std::string(63, ' '), "^^^\nunknown name 'foo'"));
    EXPECT_EQ(point_at("", TextError(5, 9, "x", "y")), "\n^\nx; y");
}

// Whatever it is: an answer or a message, at once, with little stack.
TEST_F(ExprError, HostileTexts)
{
    EXPECT_THAT(value(std::string(20000, 'a')), testing::HasSubstr("longer than 16384 bytes"));
    for (const std::string_view part : {"(",
                                        "!",
                                        "-",
                                        "*",
                                        "[",
                                        "n[",
                                        "sk->",
                                        "n?",
                                        "n?1:",
                                        "{",
                                        "n in {",
                                        "(int)",
                                        "(struct sock *)",
                                        "sizeof",
                                        "sizeof(",
                                        "n+",
                                        "str(",
                                        "\"",
                                        "'",
                                        "::",
                                        "0x",
                                        "a.",
                                        "n,",
                                        "..",
                                        "@user"}) {
        std::string text;
        while (text.size() + part.size() < 16000)
            text += part;
        for (const std::string_view end : {"", "n", "n)"}) {
            const std::string answer = value(cat(text, end));
            EXPECT_THAT(answer, testing::HasSubstr("^")) << part;
        }
    }
    std::string sum = "n", either = "n == 0";
    for (int i = 0; i < 300; i++)
        sum += " + n";
    for (int i = 1; i < 1500; i++)
        either += cat("||n==", i);
    EXPECT_THAT(value(sum), testing::Not(testing::HasSubstr("^")));
    EXPECT_THAT(condition(either), testing::Not(testing::HasSubstr("^")));

    // Words in any order.
    constexpr std::string_view kWords[] = {"n",
                                           "sk",
                                           "arg1",
                                           "comm",
                                           "lat_us",
                                           "->",
                                           ".",
                                           "sk_name",
                                           "__sk_common",
                                           "[",
                                           "]",
                                           "(",
                                           ")",
                                           "{",
                                           "}",
                                           "in",
                                           "..",
                                           ",",
                                           "?",
                                           ":",
                                           "&&",
                                           "||",
                                           "!",
                                           "~",
                                           "=~",
                                           "==",
                                           "!=",
                                           "<",
                                           ">=",
                                           "<<",
                                           "+",
                                           "-",
                                           "*",
                                           "/",
                                           "%",
                                           "&",
                                           "|",
                                           "^",
                                           "1",
                                           "0",
                                           "5ms",
                                           "1.5",
                                           "4k",
                                           "\"a\"",
                                           "'a'",
                                           "10.0.0.1/8",
                                           "::1",
                                           "struct",
                                           "sock",
                                           "int",
                                           "sizeof",
                                           "str",
                                           "ip",
                                           "buf",
                                           "defined",
                                           "STRCMP",
                                           "offsetof",
                                           "container_of",
                                           "enum",
                                           "flags",
                                           "tcp_state",
                                           "@",
                                           "user",
                                           "$task",
                                           "=",
                                           "-1",
                                           "18446744073709551615",
                                           "0x8000000000000000",
                                           "__user",
                                           "unsigned",
                                           "void",
                                           "sk_load"};
    std::uint64_t random = 42;
    const auto next = [&random](std::uint64_t below) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return (random >> 33) % below;
    };
    unsigned good = 0;
    for (int i = 0; i < 5'000; i++) {
        std::string text;
        for (std::uint64_t words = 1 + next(12); words > 0; words--)
            text += cat(kWords[next(std::size(kWords))], next(2) ? " " : "");
        Code code(types_);
        try {
            parse_value(code, names(), text);
            good++;
        } catch (const TextError& error) {
            ASSERT_LE(error.at, text.size()) << text;
            ASSERT_GE(error.length, 1u) << text;
        }
    }
    EXPECT_GT(good, 50u);
    EXPECT_LT(good, 2'500u);
}

} // namespace
} // namespace corebox::expr
