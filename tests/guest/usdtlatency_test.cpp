// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include "usdt.hpp"
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

[[gnu::noinline, gnu::noipa]] void begin(int kind, long id)
{
    USDT_PROBE("cbpair", "operation_start", "0", kind, id);
}
[[gnu::noinline, gnu::noipa]] void end(long id)
{
    USDT_PROBE("cbpair", "operation_end", "0", 0, id);
}

// 11 operations: those of two threads overlap, one has another of its number within it; a begin and
// two ends have nobody.
void operate()
{
    for (long id = 1; id <= 7; id++) {
        begin(0, id);
        end(id);
    }
    begin(0, 100);
    begin(0, 101); // ends in another thread
    begin(0, 200);
    begin(0, 200);
    end(200); // the inner one
    std::thread([] { end(101); }).join();
    ::usleep(100'000);
    end(200); // the outer one
    end(100);
    begin(0, 300);
    end(400);
    end(401);
}

class UsdtlatencyRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, UsdtlatencyRung, testing::Values("", "uprobe"), rung_name);

TEST_P(UsdtlatencyRung, PairsByAnArgument)
{
    const Result result = watch(
        "usdtlatency", {"/t/guest_tests:cbpair:operation_start", "operation_end", "--arg", "2"},
        operate, {.env = env()});
    EXPECT_EQ(result.account.at("lost"), 0) << result.err;
    EXPECT_EQ(result.account.at("printed"), 11) << result.err;
    ASSERT_EQ(result.records.size(), 1u) << result.out;
    const Json& r = result.records[0];
    EXPECT_EQ(r.at("count"), 11) << result.out;
    // The two that were open for 100 ms: the outer one of 200 keeps its own beginning.
    EXPECT_GE(r.at("sum").get<double>(), 200'000) << result.out;
    EXPECT_LT(r.at("min").get<double>(), 100'000) << result.out;
    EXPECT_NE(result.err.find("1 begins without an end, 2 ends without a begin"), std::string::npos)
        << result.err;
}

TEST(Usdtlatency, ThreadsTextAndBadInput)
{
    const Result result = watch(
        "usdtlatency",
        {"-m", "-P", "/t/guest_tests:cbpair:operation_start", "cbpair:operation_end", "--arg", "0"},
        [] {
            begin(0, 1);
            begin(0, 2);
            end(3);
            std::thread([] { end(4); }).join(); // no begin of this thread
            end(5);
        },
        {.json = false});
    EXPECT_NE(result.out.find("msecs"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("count: 2"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("pid = "), std::string::npos) << result.out;
    EXPECT_NE(result.err.find("1 ends without a begin"), std::string::npos) << result.err;

    EXPECT_EQ(run({"usdtlatency"}).status, 1);
    EXPECT_EQ(run({"usdtlatency", "app:begin", "end"}).status, 1);
    const Result none = run({"usdtlatency", "/t/guest_tests:cbpair:no_such", "operation_end"});
    EXPECT_EQ(none.status, 2);
    EXPECT_NE(none.err.find("USDT probe"), std::string::npos) << none.err;
}

} // namespace
