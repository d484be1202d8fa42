// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// BCC's patterns of what to trace, and the notes of USDT probes.
#include "base/error.hpp"
#include "probe/ifunc.hpp"
#include "probe/points.hpp"
#include "probe/user_probe.hpp"
#include "symbols/usdt.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace
{

using namespace corebox;
using Kind = Point::Kind;

TEST(PointPattern, IsTakenApart)
{
    struct Case {
        std::string_view text;
        Kind kind;
        std::string_view object, provider, name;
        bool returns = false, of_program = false;
    };
    for (const Case& c : {Case{"vfs_read", Kind::kernel, "", "", "vfs_read"},
                          {"p::vfs_read", Kind::kernel, "", "", "vfs_read"},
                          {"::vfs_read", Kind::kernel, "", "", "vfs_read"},
                          {"r::vfs_*", Kind::kernel, "", "", "vfs_*", true},
                          {"c:malloc", Kind::user, "c", "", "malloc"},
                          {"p:c:malloc", Kind::user, "c", "", "malloc"},
                          {"r:c:malloc", Kind::user, "c", "", "malloc", true},
                          {"/usr/lib/libc.so.6:mem*", Kind::user, "/usr/lib/libc.so.6", "", "mem*"},
                          {"prog:ns::Class::f(int)", Kind::user, "prog", "", "ns::Class::f(int)"},
                          {"p:prog:ns::f", Kind::user, "prog", "", "ns::f"},
                          {"p:main", Kind::user, "p", "", "main"}, // a program named p
                          {":main", Kind::user, "", "", "main", false, true},
                          {"t:sched:sched_switch", Kind::tracepoint, "", "", "sched:sched_switch"},
                          {"t:syscalls:*open*", Kind::tracepoint, "", "", "syscalls:*open*"},
                          {"u:c:setjmp", Kind::usdt, "c", "", "setjmp"},
                          {"u:c:libc:setjmp", Kind::usdt, "c", "libc", "setjmp"},
                          {"u::gc*", Kind::usdt, "", "", "gc*"}}) {
        const PointPattern p(c.text);
        EXPECT_EQ(p.kind, c.kind) << c.text;
        EXPECT_EQ(p.object, c.object) << c.text;
        EXPECT_EQ(p.provider, c.provider) << c.text;
        EXPECT_EQ(p.name, c.name) << c.text;
        EXPECT_EQ(p.returns, c.returns) << c.text;
        EXPECT_EQ(p.of_program, c.of_program) << c.text;
    }
    for (const char* bad : {"", "c:", "p::", "t:sched:", "u:c:", "t::"})
        try {
            const PointPattern p{bad};
            ADD_FAILURE() << bad;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.status, Exit::usage) << bad;
        }
}

// This very program: a static one with symbols.
extern "C" [[gnu::noinline, gnu::used]] void cbtest_unit_point() { asm volatile(""); }

TEST(Points, FunctionsOfAFile)
{
    const auto points = find_points(PointPattern("/proc/self/exe:cbtest_unit_p?int"),
                                    FunctionPattern::Syntax::glob);
    ASSERT_EQ(points.size(), 1u);
    EXPECT_EQ(points[0].name, "cbtest_unit_point");
    EXPECT_EQ(points[0].kind, Kind::user);
    ASSERT_EQ(points[0].sites.size(), 1u);
    // What lies there in the file is the function.
    std::byte there[8];
    ASSERT_EQ(::pread(points[0].object->file.get(), there, sizeof there,
                      off_t(points[0].sites[0].offset)),
              ssize_t(sizeof there));
    EXPECT_EQ(std::memcmp(there, reinterpret_cast<const void*>(&cbtest_unit_point), sizeof there),
              0);
    EXPECT_TRUE(
        find_points(PointPattern("/proc/self/exe:no_such_function"), FunctionPattern::Syntax::glob)
            .empty());
    for (const char* missing : {"/no/such/file:f", "no_such_library:f", "/etc/passwd:f"})
        EXPECT_THROW(find_points(PointPattern(missing), FunctionPattern::Syntax::glob), Failure)
            << missing;
}

TEST(UserProbe, SitesOfAFunction)
{
    const Object self = find_object("/proc/self/exe");
    ASSERT_TRUE(self);
    const auto points = find_points(PointPattern("/proc/self/exe:cbtest_unit_point"),
                                    FunctionPattern::Syntax::glob);
    const auto sites = find_sites(self, {.symbol = "cbtest_unit_point"});
    ASSERT_EQ(points.size(), 1u);
    ASSERT_EQ(sites.size(), 1u);
    EXPECT_EQ(sites[0].offset, points[0].sites[0].offset);
    EXPECT_EQ(sites[0].semaphore, 0u);
    EXPECT_TRUE(find_sites(self, {.symbol = "no_such_function"}).empty());
    EXPECT_TRUE(find_sites(find_object("/etc/passwd"), {.symbol = "cbtest_unit_point"}).empty());
}

// A function that a library chooses for the processor: what it stands for in a program that nobody
// has called it in is one of several, and a point is all of them. This program is static.
TEST(Points, AnIfuncThatNoProcessHasBound)
{
    const auto points =
        find_points(PointPattern("/proc/self/exe:strlen"), FunctionPattern::Syntax::glob);
    ASSERT_EQ(points.size(), 1u);
    EXPECT_EQ(points[0].name, "strlen");
    EXPECT_GE(points[0].sites.size(), 2u);
    const auto sites = find_sites(find_object("/proc/self/exe"), {.symbol = "strlen"});
    EXPECT_EQ(sites.size(), points[0].sites.size());
    EXPECT_TRUE(may_implement("__memcpy_avx_unaligned_erms", "memcpy"));
    EXPECT_FALSE(may_implement("__memcpy_chk_avx_unaligned_erms", "memcpy"));
    EXPECT_FALSE(may_implement("__memcpyx_avx2", "memcpy"));
    EXPECT_FALSE(may_implement("__gettimeofday_syscall", "gettimeofday"));
}

TEST(UserFiles, NamesOfLibraries)
{
    for (const char* name : {"/lib/libc.so.6", "/x/libc.so", "libc-2.31.so"})
        EXPECT_TRUE(is_library(name, "c")) << name;
    for (const char* name : {"/lib/libcap.so.2", "/lib/c", "/lib/libc.so.6/other", "/lib/xlibc.so"})
        EXPECT_FALSE(is_library(name, "c")) << name;
    EXPECT_TRUE(is_library("/lib/ld-musl-x86_64.so.1", "ld-musl-"));
    for (const char* name : {"/usr/bin/ruby", "/usr/bin/ruby3.1", "/opt/ruby-3.3"})
        EXPECT_TRUE(is_library(name, "/ruby")) << name;
    EXPECT_FALSE(is_library("/usr/sbin/rubygc", "/ruby")); // a link to this very program
    EXPECT_FALSE(is_library("/lib/ld-linux-x86-64.so.2", "ld-musl-"));
    for (const char* name : {"/usr/bin/perl", "perl5.36.0", "/bin/perl-static"})
        EXPECT_TRUE(is_library(name, "/perl")) << name;
    for (const char* name : {"/usr/bin/perldoc", "perlcalls", "per", "libperl.so.5.36"})
        EXPECT_FALSE(is_library(name, "/perl")) << name;
}

// A file has many names; it is probed once.
TEST(UserFiles, EachFileOnce)
{
    std::vector<Object> objects = {find_object("/proc/self/exe"), find_object("/etc/passwd"),
                                   find_object("/proc/self/exe")};
    drop_duplicates(objects);
    ASSERT_EQ(objects.size(), 2u);
    EXPECT_EQ(objects[1]->path, "/etc/passwd");
}

std::string note(std::uint64_t pc, std::uint64_t base, std::uint64_t semaphore,
                 std::string_view texts, std::uint32_t type = 3)
{
    std::string description;
    for (const std::uint64_t word : {pc, base, semaphore})
        description.append(reinterpret_cast<const char*>(&word), 8);
    description += texts;
    const std::uint32_t header[] = {8, std::uint32_t(description.size()), type};
    std::string out(reinterpret_cast<const char*>(header), sizeof header);
    out.append("stapsdt\0", 8);
    out += description;
    out.resize((out.size() + 3) / 4 * 4);
    return out;
}

TEST(Usdt, Notes)
{
    using namespace std::string_view_literals;
    const std::vector<Segment> segments = {{0x1000, 0x1000, 0x401000, true},
                                           {0x3000, 0x1000, 0x404000, false}};
    const auto parse = [&](const std::string& section, std::uint64_t base = 0) {
        return parse_usdt(section, true, base, segments);
    };
    const std::string plain = note(0x401010, 0x402000, 0, "p\0one\0-4@%edi 8@(%rsp)\0"sv);
    const std::string counted = note(0x401020, 0x402000, 0x404008, "p\0two\0\0"sv);
    const auto two = parse(plain + counted);
    ASSERT_EQ(two.size(), 2u);
    EXPECT_EQ(two[0], (UsdtNote{"p", "one", "-4@%edi 8@(%rsp)", 0x1010, 0}));
    EXPECT_EQ(two[1], (UsdtNote{"p", "two", "", 0x1020, 0x3008}));
    // Prelinked: all has moved by as much as the base.
    const auto moved = parse(note(0x301010, 0x302000, 0, "p\0one\0\0"sv), 0x402000);
    ASSERT_EQ(moved.size(), 1u);
    EXPECT_EQ(moved[0].offset, 0x1010u);
    // What does not fit is left out, what is cut does no harm.
    EXPECT_TRUE(parse(note(0x999999, 0, 0, "p\0far\0\0"sv)).empty());
    EXPECT_TRUE(parse(note(0x401010, 0, 0, "p\0other\0\0"sv, 7)).empty());
    for (std::size_t n = 0; n < plain.size(); n++)
        EXPECT_LE(parse(plain.substr(0, n)).size(), 1u);
}

TEST(Usdt, Arguments)
{
    const auto arguments = usdt_arguments("-4@%edi 8@-16(%rbp) 1@$5 8@[sp, 12]");
    ASSERT_EQ(arguments.size(), 4u);
    EXPECT_EQ(arguments[0].size, -4);
    EXPECT_EQ(arguments[0].operand, "%edi");
    EXPECT_EQ(arguments[1].operand, "-16(%rbp)");
    EXPECT_EQ(arguments[2].size, 1);
    EXPECT_EQ(arguments[3].operand, "[sp, 12]");
    EXPECT_TRUE(usdt_arguments("").empty());
}

} // namespace
