// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "runtime.hpp"

namespace
{

using namespace corebox::test;

class UgcRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, UgcRung, testing::Values("", "uprobe,perf_buffer"), rung_name);

std::size_t count_of(const Result& result, std::string_view key, const Json& value)
{
    return with(result.records, key.data(), value).size();
}

TEST_P(UgcRung, GenerationsOfPython)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Result result = watch_program(kGcPython, {"ugc"}, env());
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 10u) << result.out;
    EXPECT_EQ(count_of(result, "generation", 2), 7u);
    EXPECT_EQ(count_of(result, "generation", 1), 3u);
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("kind"), "collection");
        EXPECT_EQ(r.at("comm"), "python3");
        EXPECT_EQ(r.at("pid"), r.at("tid"));
        EXPECT_EQ(r.at("collected"), 0);
        EXPECT_GT(r.at("lat_us").get<double>(), 0);
        EXPECT_LT(r.at("lat_us").get<double>(), 10e6);
    }
}

// Each runtime by its own words. Sweeps of ruby are lazy, and node scavenges by itself.
TEST(Ugc, RubyAndNode)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    Result result = watch_program(kGcRuby, {"rubygc"});
    expect_exact(result);
    EXPECT_EQ(count_of(result, "kind", "mark"), 5u) << result.out;
    EXPECT_EQ(count_of(result, "kind", "mark") + count_of(result, "kind", "sweep"),
              result.records.size());

    result = watch_program(kGcNode, {"ugc", "-F", "mark-compact"});
    EXPECT_EQ(result.records.size(), 4u) << result.out;
    EXPECT_EQ(count_of(result, "description", "mark-compact"), 4u) << result.out;
    EXPECT_GE(result.account.at("filtered"), 3) << result.account; // scavenges
}

// Pauses are what the JVM itself counts as collections; each has one of each pool within it.
TEST(Ugc, PausesAndPoolsOfJava)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    std::string out;
    const Result result = watch_program(gc_java(), {"javagc", "--pools"}, {}, &out);
    expect_exact(result);
    const std::size_t pauses = count_of(result, "kind", "pause");
    EXPECT_EQ("ready\ncollections " + std::to_string(pauses) + "\n", out);
    EXPECT_EQ(count_of(result, "full", true), 5u) << result.out;
    const auto pools = with(result.records, "kind", "pool");
    ASSERT_EQ(pools.size() + pauses, result.records.size());
    EXPECT_GE(pools.size(), pauses);
    // Eden is empty after each of them.
    const auto edens = count_if(pools, [](const Json& r) {
        return r.at("description").get<std::string>().find("Eden Space used=") !=
                   std::string::npos &&
               r.at("used") == 0 && r.at("used_before") > 0;
    });
    EXPECT_GE(edens, pauses - 5) << result.out;
    for (std::size_t i = 0; i < result.records.size(); i++) // a pause ends after its pools
        if (result.records[i].at("kind") == "pause") {
            ASSERT_GT(i, 0u);
            EXPECT_LE(result.records[i - 1].at("lat_us").get<double>(),
                      result.records[i].at("lat_us").get<double>());
        }
}

TEST(Ugc, Flood)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    constexpr int kFlood = 3000;
    auto argv = kGcPython;
    argv.push_back(std::to_string(kFlood));
    const Result result = watch_program(argv, {"ugc"});
    expect_exact_flood(result, result.records.size(), kFlood + 10);
}

TEST(Ugc, TextAndBadInput)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    // All are filtered, or all but none: the kernel side compares.
    const Result none = watch_program(kGcPython, {"pythongc", "-M", "60000"});
    EXPECT_TRUE(none.records.empty()) << none.out;
    EXPECT_EQ(none.account.at("filtered"), 10);
    // One that starts after the tool.
    Tracer tracer({"ugc", "-l", "python", "-m", "-t", "1", "-F", "gen 2"});
    const Program program(kGcPython);
    program.wait_for("ready");
    program.say_line();
    tracer.wait_for("gen 2 GC collected 0 objects");
    const auto rows = lines(tracer.stop().out);
    ASSERT_GE(rows.size(), 2u);
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]), (Words{"START", "TIME", "(ms)", "PID", "DESCRIPTION"}));
    EXPECT_EQ(words(rows[1]).at(2), std::to_string(program.pid()));

    expect_refused(kGcPhp, {"ugc"}, "has no probes at collections");
    EXPECT_EQ(run({"ugc"}).status, 1);
    EXPECT_EQ(run({"ugc", "-l", "tcl"}).status, 2);
    EXPECT_EQ(run({"ugc", "-l", "cobol"}).status, 1);
    EXPECT_EQ(run({"ugc", "-l", "ruby", "--pools"}).status, 1);
    EXPECT_EQ(run({"ugc", "-l", "java", "-M", "1", "-t", "1"}).status, 1);
}

} // namespace
