// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "runtime.hpp"

namespace
{

using namespace corebox::test;

class UstatRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, UstatRung, testing::Values("", "uprobe"), rung_name);

std::uint64_t events_of(const Result& result)
{
    std::uint64_t events = 0;
    for (const Json& r : result.records)
        events += r.at("events").get<std::uint64_t>();
    return events;
}

TEST_P(UstatRung, ExceptionsOfPhp)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Result result = watch_program(kGcPhp, {"ustat", "60"}, env());
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 1u) << result.out;
    const Json& r = result.records[0];
    EXPECT_EQ(r.at("events"), 3);
    EXPECT_EQ(r.at("language"), "php");
    EXPECT_EQ(r.at("cmdline"), Json(kGcPhp));
    EXPECT_GT(r.at("exceptions_per_s").get<double>(), 0);
    // It was started without USE_ZEND_DTRACE, and no PHP has the others.
    for (const char* none :
         {"methods_per_s", "gcs_per_s", "objects_per_s", "classes_per_s", "threads_per_s"})
        EXPECT_TRUE(r.at(none).is_null()) << none << ": " << r;
}

TEST(Ustat, WhatEachRuntimeHas)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    Result result = watch_program(kGcRuby, {"ustat", "--no-calls", "60"});
    expect_exact(result);
    EXPECT_EQ(events_of(result), 6u) << result.out; // 5 collections, 1 exception
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_TRUE(result.records[0].at("methods_per_s").is_null());
    EXPECT_EQ(result.records[0].at("classes_per_s"), 0);

    result = watch_program(kGcRuby, {"ustat", "-l", "ruby", "60"});
    expect_exact(result);
    EXPECT_GE(events_of(result), 6u + 20 + 20) << result.out; // objects of Foo, and calls of new
    ASSERT_EQ(result.records.size(), 1u);
    const Json& r = result.records[0];
    EXPECT_GT(r.at("methods_per_s").get<double>(), r.at("exceptions_per_s").get<double>());

    result = watch_program(gc_java(), {"ustat", "--no-calls", "60"});
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_GT(result.records[0].at("threads_per_s").get<double>(), 0);
    EXPECT_GT(result.records[0].at("gcs_per_s").get<double>(),
              result.records[0].at("threads_per_s").get<double>());
    EXPECT_TRUE(result.records[0].at("exceptions_per_s").is_null());
}

// All programs, those that start later too; intervals lose nothing.
TEST(Ustat, Text)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    Tracer tracer({"ustat", "--no-calls", "-S", "gc", "-C", "1"});
    auto argv = kGcPython;
    argv.push_back("3000");
    const Program program(argv);
    program.wait_for("ready");
    program.say_line();
    tracer.wait_for("python3"); // it ends before the interval does
    const Result result = tracer.stop();
    EXPECT_NE(result.out.find("loadavg"), std::string::npos);
    using Words = std::vector<std::string>;
    bool has_header = false, has_row = false;
    for (const std::string& line : lines(result.out)) {
        const Words row = words(line);
        has_header |= row == Words{"PID",     "METHOD/s", "GC/s",  "OBJNEW/s",
                                   "CLOAD/s", "EXC/s",    "THR/s", "CMDLINE"};
        has_row |= row.size() == 8 && row[0] == std::to_string(program.pid()) && row[1] == "-" &&
                   row[2] != "-" && row[7] == "python3";
    }
    EXPECT_TRUE(has_header && has_row) << result.out;
    EXPECT_EQ(run({"ustat", "-S", "pid"}).status, 1);
    EXPECT_EQ(run({"ustat", "-l", "c"}).status, 1);
}

} // namespace
