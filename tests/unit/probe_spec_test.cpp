// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What trace's operands and format strings are taken apart to.
#include "../../libbpf-tools/dynamic/format.hpp"
#include "base/text.hpp"
#include <gtest/gtest.h>
#include <random>

namespace
{

using namespace corebox;

// "entry vfs_read+4 | signature | condition | format | argument | ..." of what is there.
std::string shape(std::string_view text)
{
    static constexpr const char* kKinds[] = {"entry", "returns", "tracepoint", "raw", "usdt"};
    const ProbeSpec spec(text);
    std::string out = kKinds[int(spec.kind)];
    out += spec.typed_only ? " typed" : "";
    if (spec.pattern && !spec.pattern->object.empty())
        out += cat(" in ", spec.pattern->object);
    if (spec.pattern && !spec.pattern->provider.empty())
        out += cat(" by ", spec.pattern->provider);
    out += cat(" ", spec.name.text);
    if (spec.offset)
        out += cat("+", spec.offset);
    const auto add = [&](std::string_view what, const std::optional<Piece>& piece) {
        if (!piece)
            return;
        out += cat(" | ", what, " ", piece->text);
        EXPECT_EQ(piece->text, std::string_view(spec.text).substr(piece->at, piece->text.size()));
    };
    add("signature", spec.signature);
    add("if", spec.condition);
    add("format", spec.format);
    for (const Piece& argument : spec.arguments)
        add("arg", argument);
    if (spec.user_arguments)
        out += cat(" | user ", spec.user_arguments);
    return out;
}

TEST(ProbeSpec, EveryExampleOfBccIsTakenApart)
{
    struct Case {
        std::string_view text, shape;
    };
    for (
        const Case& c : {
            Case{"do_sys_open", "entry do_sys_open"},
            {"kfree_skb+0x12", "entry kfree_skb+18"},
            {R"(do_sys_open "%s", arg2@user)", "entry do_sys_open | format %s | arg arg2 | user 2"},
            {R"(do_sys_open "%s", arg2)", "entry do_sys_open | format %s | arg arg2"},
            {R"(do_sys_open(int dfd, const char __user *filename) (dfd > 2) "%s", filename)",
             "entry do_sys_open | signature int dfd, const char __user *filename | if dfd > 2 | "
             "format %s | arg filename"},
            {R"(sys_read (arg3 > 20000) "read %d bytes", arg3)",
             "entry sys_read | if arg3 > 20000 | format read %d bytes | arg arg3"},
            {R"(r::do_sys_open "%llx", retval)", "returns do_sys_open | format %llx | arg retval"},
            {R"(c:open (arg2 == 42) "%s %d", arg1, arg2)",
             "entry in c open | if arg2 == 42 | format %s %d | arg arg1 | arg arg2"},
            {R"(c:malloc "size = %d", arg1)", "entry in c malloc | format size = %d | arg arg1"},
            {R"(p:c:write (arg1 == 1) "writing %d bytes to STDOUT", arg3)",
             "entry in c write | if arg1 == 1 | format writing %d bytes to STDOUT | arg arg3"},
            {R"(r::__kmalloc (retval == 0) "kmalloc failed!")",
             "returns __kmalloc | if retval == 0 | format kmalloc failed!"},
            {R"(r:c:malloc (retval) "allocated = %x", retval)",
             "returns in c malloc | if retval | format allocated = %x | arg retval"},
            {R"(t:block:block_rq_complete "sectors=%d", args->nr_sector)",
             "tracepoint block:block_rq_complete | format sectors=%d | arg args->nr_sector"},
            {R"(u:pthread:pthread_create (arg4 != 0))",
             "usdt in pthread pthread_create | if arg4 != 0"},
            {R"(u:pthread:libpthread:pthread_create (arg4 != 0))",
             "usdt in pthread by libpthread pthread_create | if arg4 != 0"},
            {R"(p::SyS_nanosleep(struct timespec *ts) "sleep for %lld ns", ts->tv_nsec)",
             "entry SyS_nanosleep | signature struct timespec *ts | format sleep for %lld ns | arg "
             "ts->tv_nsec"},
            {R"x(c:malloc (arg1 > 100 && STRCMP("a,b)", arg2)) "%x, %d", arg1, f(arg2, 3))x",
             "entry in c malloc | if arg1 > 100 && STRCMP(\"a,b)\", arg2) | format %x, %d | arg "
             "arg1 | arg f(arg2, 3)"},
            {R"(do_sys_openat2 (STRCMP("test.txt", arg2@user)) "opening %s %d", arg2@user, arg1)",
             "entry do_sys_openat2 | if STRCMP(\"test.txt\", arg2     ) | format opening %s %d | "
             "arg arg2 | arg arg1 | user 2"},
            {R"(u:/usr/bin/node:http__server__request "%s %s", arg5, arg6)",
             "usdt in /usr/bin/node http__server__request | format %s %s | arg arg5 | arg arg6"},
            {"t:syscalls:sys_enter_setuid", "tracepoint syscalls:sys_enter_setuid"},
            {R"(::vfs_* "a \"b\" %d", arg1)", "entry vfs_* | format a \\\"b\\\" %d | arg arg1"},
            {R"(f:vfs_open "%s", path->dentry->d_name.name)",
             "entry typed vfs_open | format %s | arg path->dentry->d_name.name"},
            {R"(x:vfs_read (retval < 0))", "returns typed vfs_read | if retval < 0"},
            {"raw:sched_switch", "raw sched_switch"},
            {"raw:sched:sched_switch", "raw sched_switch"},
            {":main", "entry main"},
            {R"(./prog:ns::Class::run+16 "%d", arg1)",
             "entry in ./prog ns::Class::run+16 | format %d | arg arg1"},
            {"  vfs_read\t(arg3 == 'x')  ", "entry vfs_read | if arg3 == 'x'"},
            {R"(vfs_read "arg1@user is %d", arg1)",
             "entry vfs_read | format arg1@user is %d | arg arg1"},
            {R"(vfs_read "%d", a[1, 2])", "entry vfs_read | format %d | arg a[1, 2]"},
        })
        EXPECT_EQ(shape(c.text), c.shape) << c.text;
}

// The text with the place that an error points at in brackets, and what it says.
std::string complaint(std::string_view text)
{
    try {
        const ProbeSpec spec(text);
        if (spec.format)
            MessageFormat(*spec.format, spec.arguments);
    } catch (const expr::TextError& error) {
        EXPECT_LE(error.at, text.size());
        EXPECT_LE(error.at + error.length, text.size() + 1);
        return cat(text.substr(0, error.at), "[", text.substr(error.at, error.length),
                   "]: ", error.what());
    }
    return "";
}

TEST(ProbeSpec, ErrorsPointAtThePlace)
{
    EXPECT_EQ(complaint(""), "[]: missing what to trace");
    EXPECT_EQ(complaint("p::"), "[p::]: 'p::' matches nothing to trace");
    EXPECT_EQ(complaint("vfs_read (a"), "vfs_read [(]: a parenthesis without an end");
    EXPECT_EQ(complaint("vfs_read ()"), "vfs_read [()]: an empty condition");
    EXPECT_EQ(complaint("vfs_read (a == \"b)"), "vfs_read (a == [\"]: a string without an end");
    EXPECT_EQ(complaint("vfs_read (a) || (b)"),
              "vfs_read (a) [|| (b)]: expected a format in double quotes behind the condition");
    EXPECT_EQ(complaint("vfs_read 'x'"), "vfs_read ['x']: expected a condition in parentheses or a "
                                         "format in double quotes");
    EXPECT_EQ(complaint("vfs_read \"x"), "vfs_read [\"]: a format without its closing quote");
    EXPECT_EQ(complaint("vfs_read \"x\" a"),
              "vfs_read \"x\" [a]: expected a comma behind the format");
    EXPECT_EQ(complaint("vfs_read \"%d\", "), "vfs_read \"%d\",[ ]: an empty argument");
    EXPECT_EQ(complaint("t:a:b(int x)"),
              "t:a:b[(int x)]: a tracepoint or USDT probe has no signature");
    EXPECT_EQ(complaint("r::vfs_read+4"), "[r::vfs_read+4]: a return has no offset");
    EXPECT_EQ(complaint("f:c:malloc"),
              "[f:c:malloc]: f: and x: take a function of the kernel only");
    EXPECT_EQ(complaint("vfs_read \"a %q b\", arg1"), "vfs_read \"a [%q]: '%q' is no conversion");
    EXPECT_EQ(complaint("vfs_read \"a %\", arg1"), "vfs_read \"a [%]: '%' is no conversion");
    EXPECT_EQ(complaint("vfs_read \"%d %d\", arg1"),
              "vfs_read \"%d [%d]: no argument for this conversion: the format has 2, and 1 "
              "argument follows");
    EXPECT_EQ(complaint("vfs_read \"%d\", arg1, arg2"),
              "vfs_read \"%d\", arg1, [arg2]: no conversion in the format for this argument");
}

TEST(ProbeSpec, HostileTextsAreRefusedOrTaken)
{
    constexpr std::string_view kParts[] = {
        "p:",  "r:", "t:",   "u:", "f:",    "raw:", "c",  ":",
        "vfs", "(",  ")",    "\"", "'",     "\\",   "%",  "d",
        "s",   ",",  "arg1", " ",  "@user", "+",    "0x", "99999999999999999999",
        "[",   "]",  "{",    "}",  "\xff",  "\n",   "*",  "->"};
    std::mt19937 random(13);
    for (int i = 0; i < 10'000; i++) {
        std::string text;
        for (std::size_t n = random() % 20; n > 0; n--)
            text += kParts[random() % std::size(kParts)];
        complaint(text);
    }
}

std::string number(std::string_view conversion, std::uint64_t bits, bool is_signed)
{
    const Piece argument{"x", 0};
    const MessageFormat format({conversion, 0}, {&argument, 1});
    std::string out;
    append_number(out, format.conversions.at(0), bits, is_signed);
    return out;
}

TEST(MessageFormat, NumbersAreShownAsPrintfDoes)
{
    EXPECT_EQ(number("%d", 42, false), "42");
    EXPECT_EQ(number("%d", std::uint64_t(-2), true), "-2");
    EXPECT_EQ(number("%d", std::uint64_t(-2), false), "-2");
    EXPECT_EQ(number("%d", 0xfffffffe, false), "-2");        // eax of a register
    EXPECT_EQ(number("%d", 0xfffffffe, true), "4294967294"); // a long that is so large
    EXPECT_EQ(number("%d", 5'000'000'000, false), "5000000000");
    EXPECT_EQ(number("%ld", 0xfffffffe, false), "4294967294");
    EXPECT_EQ(number("%hd", 0x1ffff, false), "-1");
    EXPECT_EQ(number("%hhu", 0x1ff, false), "255");
    EXPECT_EQ(number("%x", 0xffff888004fe8900, false), "ffff888004fe8900");
    EXPECT_EQ(number("%#lx", 0x1f, false), "0x1f");
    EXPECT_EQ(number("%p", 0x1f, false), "0x1f");
    EXPECT_EQ(number("%#o", 0644, false), "0644");
    EXPECT_EQ(number("%c", 'A', false), "A");
    EXPECT_EQ(number("%5d", 42, false), "   42");
    EXPECT_EQ(number("%-5d", 42, false), "42   ");
    EXPECT_EQ(number("%05d", std::uint64_t(-42), true), "-0042");
    EXPECT_EQ(number("%.3d", 7, true), "007");
    EXPECT_EQ(number("%+d", 7, true), "+7");
    EXPECT_EQ(number("%llu", ~0ull, false), "18446744073709551615");
}

TEST(MessageFormat, TextsBetween)
{
    const Piece arguments[2] = {{"a", 0}, {"b", 0}};
    const MessageFormat format({R"(100%% \"%s\"\t%.3s!\n)", 0}, arguments);
    EXPECT_EQ(format.texts, (std::vector<std::string>{"100% \"", "\"\t", "!"}));
    std::string out;
    append_padded(out, format.conversions.at(1), "abcdef");
    EXPECT_EQ(out, "abc");
}

} // namespace
