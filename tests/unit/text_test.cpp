// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/error.hpp"
#include "base/path.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>

namespace corebox
{
namespace
{

using namespace std::string_view_literals;

TEST(Cat, JoinsTextAndNumbers)
{
    EXPECT_EQ(cat("a", 'b', 7, -7, std::string("c"), 18446744073709551615u),
              "ab7-7c18446744073709551615");
    EXPECT_EQ(cat(), "");
}

TEST(ToNumber, TakesTheWholeWordOrNothing)
{
    EXPECT_EQ(to_number<int>("42"), 42);
    EXPECT_EQ(to_number<int>("-42"), -42);
    EXPECT_EQ(to_number<unsigned>("ff", 16), 255u);
    EXPECT_EQ(to_number<std::uint64_t>("18446744073709551615"), 18446744073709551615u);
    for (const std::string_view bad : {"", " 1", "1 ", "+1", "1x", "0x1", "1.0", "-"})
        EXPECT_EQ(to_number<int>(bad), std::nullopt) << bad;
    EXPECT_EQ(to_number<unsigned>("-1"), std::nullopt);
    EXPECT_EQ(to_number<std::uint8_t>("256"), std::nullopt);
    EXPECT_EQ(to_number<std::uint64_t>("18446744073709551616"), std::nullopt);
}

TEST(Split, KeepsEmptyPartsBetweenSeparators)
{
    using Parts = std::vector<std::string_view>;
    EXPECT_EQ(split("", ','), Parts{});
    EXPECT_EQ(split("a", ','), (Parts{"a"}));
    EXPECT_EQ(split("a,b,c", ','), (Parts{"a", "b", "c"}));
    EXPECT_EQ(split("a,,b", ','), (Parts{"a", "", "b"}));
    EXPECT_EQ(split(",a", ','), (Parts{"", "a"}));
}

TEST(CStr, EndsAtTheFirstNulOrTheEndOfTheArray)
{
    const char short_name[16] = "bash";
    const char full[4] = {'a', 'b', 'c', 'd'};
    EXPECT_EQ(c_str(short_name), "bash");
    EXPECT_EQ(c_str(full), "abcd");
}

TEST(StatusField, FindsTheWholeKey)
{
    constexpr std::string_view text = "Name:\tcat\nCapEffX:\t1\nCapEff:\t000001ff\nEmpty:\nLast: 7";
    EXPECT_EQ(status_field(text, "CapEff"), "000001ff");
    EXPECT_EQ(status_field(text, "Name"), "cat");
    EXPECT_EQ(status_field(text, "Empty"), "");
    EXPECT_EQ(status_field(text, "Last"), "7");
    EXPECT_EQ(status_field(text, "Cap"), std::nullopt);
}

TEST(ReadFile, WholeOrErrno)
{
    const auto self = read_file("/proc/self/status");
    ASSERT_TRUE(self);
    EXPECT_NE(self->find("Pid:"), self->npos);
    EXPECT_EQ(read_file("/nonexistent"), std::nullopt);
    EXPECT_EQ(errno, ENOENT);
}

TEST(ErrnoName, SurvivesCodesWithoutAName)
{
    EXPECT_EQ(errno_name(2), "ENOENT");
    EXPECT_EQ(errno_name(512), "E512"); // ERESTARTSYS, inside the kernel only
}

TEST(Fail, OneLineWithCauseAndHint)
{
    const auto message = [](auto&& thrower) {
        try {
            thrower();
        } catch (const Failure& f) {
            return cat(int(f.status), " ", f.message);
        }
        return std::string();
    };
    EXPECT_EQ(message([] { fail("open x", ENOENT, "mount it"); }),
              "2 open x: No such file or directory; mount it");
    EXPECT_EQ(message([] { fail("open x", 0); }), "2 open x");
    EXPECT_EQ(message([] { fail("open x: it is y", 0, "mount it"); }),
              "2 open x: it is y; mount it");
    EXPECT_EQ(message([] { fail("open x", "it is y"); }), "2 open x: it is y");
    EXPECT_EQ(message([] { fail("open x", "it is y", "mount it"); }),
              "2 open x: it is y; mount it");
    EXPECT_EQ(message([] { fail("open x", 512); }), "2 open x: E512");
    EXPECT_EQ(message([] { fail_usage("no"); }), "1 no");
}

TEST(JoinWalk, NamesComeFromTheDeepestUp)
{
    std::string out;
    EXPECT_EQ(join_walk(out, "c\0b\0a\0\0"sv, "file"), "/a/b/c/file");
    EXPECT_EQ(join_walk(out, "\0"sv, "file"), "/file");          // the root directory
    EXPECT_EQ(join_walk(out, "c\0b\0"sv, "x/y"), ".../b/c/x/y"); // cut short before the root
    EXPECT_EQ(join_walk(out, ""sv, "x"), ".../x");               // could not be walked
    EXPECT_EQ(join_walk(out, "a\0\0"sv, ""), "/a/");
    EXPECT_EQ(join_walk(out, "new\nline\0\0"sv, "f"), "/new\nline/f"); // escaped later, by Output
}

TEST(JoinWalk, TheRootOfAWalkThatDidNotEnd)
{
    std::string out;
    EXPECT_EQ(join_walk(out, "/\0"sv, "x"), ".../x");
}

struct Paths {
    path_record record{};
    std::string out;

    Paths(std::string_view path, std::string_view dir)
    {
        record.path_len = std::uint16_t(path.size());
        record.dir_len = std::uint16_t(dir.size());
        std::ranges::copy(dir, std::ranges::copy(path, record.data).out);
    }
    std::string_view path(std::size_t bytes) { return path_of(record, record.data + bytes, out); }
};

TEST(PathOf, WholeAndCut)
{
    EXPECT_EQ(Paths("/a\0"sv, "").path(3), "/a");
    EXPECT_EQ(Paths("a\0"sv, "c\0b\0\0"sv).path(7), "/b/c/a");
    EXPECT_EQ(Paths("", "c\0b\0\0"sv).path(5), "/b/c");
    EXPECT_EQ(Paths("", "").path(0), "");
    EXPECT_EQ(Paths("/abX"sv, "").path(4), "/ab...");
    EXPECT_EQ(Paths("abX"sv, "c\0\0"sv).path(6), "/c/ab...");
}

TEST(PathOf, ReadsNothingBehindTheRecord)
{
    Paths paths("/a\0"sv, "");
    paths.record.path_len = 60'000;
    EXPECT_EQ(paths.path(3), "/a");
    EXPECT_EQ(given_path(paths.record, paths.record.data + 3), "/a");
    EXPECT_EQ(paths.path(0), "");
    EXPECT_EQ(path_of(paths.record, &paths.record, paths.out), "");
    paths.record.path_len = 3;
    paths.record.dir_len = 60'000;
    EXPECT_EQ(paths.path(3), "/a");
}

TEST(JoinWalk, ReusesItsMemory)
{
    std::string out;
    join_walk(out, std::string(4000, 'd').append("\0\0", 2), "f");
    const char* memory = out.data();
    EXPECT_EQ(join_walk(out, "a\0\0"sv, "g"), "/a/g");
    EXPECT_EQ(out.data(), memory);
}

} // namespace
} // namespace corebox
