// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A process that computes on one CPU.
#include "waits.hpp"
#include <ctime>
#include <sched.h>

namespace
{

using namespace corebox::test;

TEST(Cpuwalk, CountsSamplesByCpu)
{
    const int cpu = int(cpus()) - 1; // 0 may be where all else runs
    const Result r = watch("cpuwalk", {}, [&] {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
        while (::clock() < CLOCKS_PER_SEC / 2)
            continue;
    });
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    ASSERT_EQ(r.records.size(), 1u) << r.out;
    const Json& row = r.records[0];
    EXPECT_EQ(row.at("unit"), "cpu");
    // Half a second of 99 samples a second; the clock of an emulated CPU is not that of the
    // machine.
    const auto& buckets = row.at("buckets");
    ASSERT_EQ(buckets.size(), std::size_t(cpu) + 1) << row;
    EXPECT_GE(buckets[std::size_t(cpu)].at("count"), 15) << row;
    EXPECT_EQ(buckets[std::size_t(cpu)].at("from"), cpu);
    for (int other = 0; other < cpu; other++) // before it went to its CPU
        EXPECT_LE(buckets[std::size_t(other)].at("count"), 5) << row;
    EXPECT_EQ(row.at("count"), r.account.at("printed"));
    EXPECT_EQ(run({"cpuwalk", "-f", "0"}).status, 1);
}

} // namespace
