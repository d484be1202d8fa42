// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "contest.hpp"
#include <algorithm>
#include <list>

namespace
{

using namespace corebox::test;

Result while_busy(std::initializer_list<unsigned> on, std::vector<std::string> argv,
                  const Environment& env = {})
{
    std::list<Child> children;
    for (const unsigned cpu : on) {
        children.emplace_back([cpu] {
            pin(cpu);
            for (;;)
                spin_us(1'000'000);
        });
        children.back().go();
    }
    for (const Child& child : children)
        EXPECT_TRUE(wait_until([&] { return Ran::of(child.pid()).ns > 0; }));
    argv.insert(argv.begin(), {"cpuunclaimed", "--json"});
    Tracer tracer(argv, env);
    ::usleep(1'200'000);
    Result result = tracer.stop();
    expect_exact(result);
    EXPECT_GE(result.records.size(), 3u);
    return result;
}

// As BCC's, of each sample: how many tasks each CPU has, and when it was looked at.
TEST(Cpuunclaimed, EachSample)
{
    const unsigned last = cpus() - 1;
    for (const char* rung : {"cpu-clock", "runqueues"}) {
        const Result result = while_busy({last, last, last}, {"-J"}, {{"COREBOX_PROBES", rung}});
        EXPECT_GE(result.records.size(), 30u); // of 118; a starved emulator's timers come late
        std::uint64_t before = 0;
        unsigned three = 0;
        for (const Json& r : result.records) {
            EXPECT_GT(r.at("monotonic_ns"), before);
            before = r.at("monotonic_ns");
            ASSERT_EQ(r.at("tasks").size(), cpus()) << r;
            ASSERT_EQ(r.at("offset_ns").size(), cpus()) << r;
            three += r.at("tasks").at(last) == 3;
            for (unsigned i = 1; i < cpus(); i++)
                EXPECT_GT(r.at("offset_ns").at(i), r.at("offset_ns").at(i - 1)) << r;
        }
        EXPECT_GE(three * 4, result.records.size() * 3) << rung << result.out;
    }

    std::string names, offsets;
    for (unsigned i = 0; i < cpus(); i++) {
        names += ",CPU" + std::to_string(i);
        offsets += ",OFFSET_ns_CPU" + std::to_string(i);
    }
    const auto fields = [](const std::string& line) { return std::ranges::count(line, ',') + 1; };
    const Result plain = run({"cpuunclaimed", "-j", "--count", "3"}),
                 full = run({"cpuunclaimed", "-JT", "--csv", "--count", "3"});
    const auto few = lines(plain.out), all = lines(full.out);
    ASSERT_EQ(few.size(), 4u) << plain.out << plain.err;
    ASSERT_EQ(all.size(), 4u) << full.out << full.err;
    EXPECT_EQ(few[0], "TIMESTAMP_ns" + names);
    EXPECT_EQ(fields(few[1]), 1 + cpus());
    EXPECT_EQ(all[0], "TIME,TIMESTAMP_ns" + names + offsets);
    EXPECT_EQ(fields(all[1]), 2 + 2 * cpus());
    EXPECT_EQ(all[1].find(','), 8u) << all[1];
    EXPECT_EQ(run({"cpuunclaimed", "-j", "1"}).status, 1); // no interval, as BCC
    EXPECT_EQ(run({"cpuunclaimed", "-j", "--columns", "cpus"}).status, 1);
}

double share(const Result& result, const char* what)
{
    return sum_of(result.records, what) / sum_of(result.records, "cpus");
}

TEST(Cpuunclaimed, IdleCpusWhileOthersHaveQueues)
{
    if (cpus() < 2)
        GTEST_SKIP() << "one CPU";
    const unsigned last = cpus() - 1;
    const Result pinned = while_busy({last, last, last}, {"0.3"});
    EXPECT_NEAR(share(pinned, "running"), 1.0 / cpus(), 0.2) << pinned.out;
    EXPECT_GE(share(pinned, "unclaimed"), 0.8 * (cpus() - 1) / cpus()) << pinned.out;
    EXPECT_GE(share(pinned, "queued"), 2.0 * 0.8 / cpus()) << pinned.out;
    for (const Json& r : pinned.records) {
        const double cpus_seen = r.at("cpus").get<double>();
        if (cpus_seen == 0)
            continue;
        EXPECT_NEAR(r.at("cpu_percent").get<double>(),
                    r.at("running").get<double>() * 100 / cpus_seen, 0.01);
        EXPECT_NEAR(r.at("unclaimed_percent").get<double>(),
                    r.at("unclaimed").get<double>() * 100 / cpus_seen, 0.01);
        EXPECT_EQ(r.at("cpus"), r.at("samples").get<unsigned>() * cpus()); // all at one instant
    }

    // Nobody could do anything about these.
    const Result full = while_busy({0, 0, last, last}, {"0.3"});
    EXPECT_GE(share(full, "running"), 0.9) << full.out;
    EXPECT_LE(share(full, "unclaimed"), 0.1) << full.out;
}

// 99 samples a second: of thousands of intervals most have none, and then nothing is known.
TEST(Cpuunclaimed, IntervalsWithoutSamples)
{
    const Result json = run({"cpuunclaimed", "--json", "0.0005", "300"});
    expect_exact(json);
    unsigned none = 0;
    for (const Json& r : json.records) {
        const bool empty = r.at("cpus") == 0;
        EXPECT_EQ(r.at("cpu_percent").is_null(), empty) << r;
        EXPECT_EQ(r.at("unclaimed_percent").is_null(), empty) << r;
        none += empty;
    }
    EXPECT_GE(none, 1u) << json.out;
    const Result text = run({"cpuunclaimed", "0.0005", "300"});
    unsigned dashes = 0;
    for (const std::string& line : lines(text.out))
        dashes += line == "%CPU      -%, unclaimed idle -%";
    EXPECT_GE(dashes, 1u) << text.out;
}

TEST(Cpuunclaimed, TextCsvAndBadInput)
{
    const Result text = run({"cpuunclaimed", "-T", "0.3", "2"});
    EXPECT_EQ(text.status, 0) << text.err;
    const auto all = lines(text.out);
    ASSERT_EQ(all.size(), 2u) << text.out;
    for (const std::string& line : all) // BCC's
    {
        const auto parts = words(line);
        ASSERT_EQ(parts.size(), 6u) << line;
        EXPECT_EQ(parts[0].size(), 8u) << line;
        EXPECT_EQ(parts[1], "%CPU");
        EXPECT_TRUE(parts[2].ends_with("%,")) << line;
        EXPECT_EQ(parts[3] + parts[4], "unclaimedidle");
        EXPECT_TRUE(parts[5].ends_with("%")) << line;
    }
    const Result csv = run({"cpuunclaimed", "--table-csv", "0.3", "1"});
    EXPECT_TRUE(lines(csv.out).at(0).starts_with("time_ns,cpu_percent,unclaimed_percent,samples,"))
        << csv.out;
    const Result samples = run({"cpuunclaimed", "--csv", "0.3"}); // BCC's --csv has no interval
    EXPECT_EQ(samples.status, 1);
    EXPECT_NE(samples.err.find("--table-csv"), std::string::npos) << samples.err;
    EXPECT_EQ(run({"cpuunclaimed", "0"}).status, 1);
    EXPECT_EQ(run({"cpuunclaimed", "-p", "1"}).status, 1);
}

} // namespace
