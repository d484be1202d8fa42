// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Every kind of option value: what is taken, what is refused, and in which words.
#include "tool/option.hpp"
#include <gtest/gtest.h>

namespace corebox
{
namespace
{

template <class T>
std::string parse(std::string_view word, T& out, Range range = {})
{
    return detail::parse_value(word, out, range);
}

TEST(OptionNumber, InclusiveRange)
{
    int n = 7;
    EXPECT_EQ(parse("1", n, {1, 9}), "");
    EXPECT_EQ(n, 1);
    EXPECT_EQ(parse("9", n, {1, 9}), "");
    EXPECT_EQ(n, 9);
    for (const std::string_view bad :
         {"0", "10", "-1", "", "x", "1x", " 1", "1.5", "99999999999999999999"})
        EXPECT_EQ(parse(bad, n, {1, 9}), "a number from 1 to 9") << bad;
    EXPECT_EQ(n, 9); // a refused word changes nothing
}

TEST(OptionNumber, NegativeRanges)
{
    int n = 0;
    EXPECT_EQ(parse("-20", n, {-20, 19}), "");
    EXPECT_EQ(n, -20);
    EXPECT_EQ(parse("-21", n, {-20, 19}), "a number from -20 to 19");
    EXPECT_EQ(parse("-3", n, {-5, -2}), "");
    EXPECT_EQ(n, -3);
    EXPECT_EQ(parse("-1", n, {-5, -2}), "a number from -5 to -2");
}

TEST(OptionNumber, TheTypeBoundsToo)
{
    std::uint8_t small = 0;
    EXPECT_EQ(parse("255", small), "");
    EXPECT_EQ(small, 255);
    EXPECT_EQ(parse("256", small), "a number from 0 to 255");
    EXPECT_EQ(parse("-1", small), "a number from 0 to 255");
    std::uint32_t n = 0;
    EXPECT_EQ(parse("4294967295", n), "");
    EXPECT_EQ(parse("4294967296", n), "a number from 0 to 4294967295");
    EXPECT_EQ(parse("0", n, kPositive), "a number from 1 to 4294967295");
    std::uint64_t large = 0;
    EXPECT_EQ(parse("9223372036854775807", large), "");
    EXPECT_EQ(parse("9223372036854775808", large), "a number from 0 to 9223372036854775807");
}

TEST(OptionText, NotEmpty)
{
    std::string_view text;
    EXPECT_EQ(parse("sda", text), "");
    EXPECT_EQ(text, "sda");
    EXPECT_EQ(parse("", text), "a text");
}

TEST(OptionText, KernelStringFitsWithItsNul)
{
    char comm[16];
    std::memset(comm, 'z', sizeof comm);
    EXPECT_EQ(parse("fifteen-letters", comm), "");
    EXPECT_STREQ(comm, "fifteen-letters");
    EXPECT_EQ(parse("sh", comm), "");
    for (std::size_t i = 2; i < sizeof comm; i++)
        EXPECT_EQ(comm[i], '\0') << i; // compared byte by byte in the kernel
    EXPECT_EQ(parse("sixteen-letters-", comm), "a text of 1 to 15 bytes");
    EXPECT_EQ(parse("", comm), "a text of 1 to 15 bytes");
    EXPECT_STREQ(comm, "sh");
}

TEST(OptionSeconds, WithFractions)
{
    using std::chrono::milliseconds;
    Seconds s{};
    const std::pair<std::string_view, std::uint64_t> good[] = {
        {"1", 1'000'000'000},
        {"0.5", 500'000'000},
        {".5", 500'000'000},
        {"0", 0},
        {"1.000000001", 1'000'000'001},
        {"3153600000", 3'153'600'000'000'000'000}};
    for (const auto& [word, ns] : good) {
        EXPECT_EQ(parse(word, s), "") << word;
        EXPECT_EQ(s.count(), ns) << word;
    }
    for (const std::string_view bad : {"", ".", "5.", "-1", "+1", "1e3", "1,5", "1.0000000001",
                                       "0.-5", "0.+5", "3153600001", "1s", "inf", "nan", " 1"})
        EXPECT_EQ(parse(bad, s), "a number of seconds such as 1 or 0.5") << bad;
}

TEST(OptionUser, ByNameAndNumber)
{
    User user;
    EXPECT_EQ(parse("root", user), "");
    EXPECT_EQ(user.uid, 0u);
    EXPECT_TRUE(user.given);
    EXPECT_EQ(parse("4294967294", user), "");
    EXPECT_EQ(user.uid, 4294967294u);
    EXPECT_EQ(parse("no-such-user", user), "a user name or number");
    EXPECT_EQ(parse("-1", user), "a user name or number");
    EXPECT_EQ(user_id("root"), 0u);
    EXPECT_EQ(user_id("no-such-user"), std::nullopt);
    EXPECT_EQ(user_name(0), "root");
    EXPECT_EQ(user_name(4294967293u), "4294967293");
}

TEST(OptionList, AddsUp)
{
    std::vector<std::uint32_t> pids;
    EXPECT_EQ(parse("1,2,3", pids, kPositive), "");
    EXPECT_EQ(parse("7", pids, kPositive), "");
    EXPECT_EQ(pids, (std::vector<std::uint32_t>{1, 2, 3, 7}));
    constexpr std::string_view kMustBe =
        "a list, separated by commas, of: a number from 1 to 4294967295";
    EXPECT_EQ(parse("1,0", pids, kPositive), kMustBe);
    EXPECT_EQ(parse("1,,2", pids, kPositive), kMustBe);
    EXPECT_EQ(parse(",", pids, kPositive), kMustBe);
    EXPECT_EQ(parse("", pids, kPositive), "a list, separated by commas");
}

struct Even {
    int n = 0;
    static std::string parse(std::string_view s, Even& out)
    {
        const auto n = to_number<int>(s);
        if (!n || *n % 2)
            return "an even number";
        out.n = *n;
        return {};
    }
};

TEST(OptionOwnType, ParsesItself)
{
    Even even;
    EXPECT_EQ(parse("4", even), "");
    EXPECT_EQ(even.n, 4);
    EXPECT_EQ(parse("3", even), "an even number");
    std::vector<Even> list;
    EXPECT_EQ(parse("2,4", list), "");
    EXPECT_EQ(list.size(), 2u);
    EXPECT_EQ(parse("2,3", list), "a list, separated by commas, of: an even number");
}

} // namespace
} // namespace corebox
