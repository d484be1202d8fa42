// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What loads prints is what the kernel's own files say around it.
#include "harness.hpp"
#include <algorithm>
#include <cstdlib>
#include <unistd.h>

namespace
{

using namespace corebox::test;

double load_of_a_minute() { return std::strtod(read_file("/proc/loadavg").c_str(), nullptr); }

TEST(Loads, AsTheKernelTells)
{
    const double before = load_of_a_minute();
    const Result r = run({"loads", "1", "2", "--json"});
    const double after = load_of_a_minute();
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    ASSERT_EQ(r.records.size(), 2u) << r.out << r.err;
    const auto [least, most] = std::minmax(before, after);
    for (const Json& record : r.records) {
        EXPECT_GE(record.at("load1").get<double>(), least - 0.02) << record;
        EXPECT_LE(record.at("load1").get<double>(), most + 0.02) << record;
        EXPECT_GE(record.at("running"), 1);
        EXPECT_GT(record.at("tasks"), record.at("running"));
    }
    EXPECT_GT(r.records[1].at("time_ns"), r.records[0].at("time_ns"));
    if (::access("/proc/pressure/cpu", R_OK) != 0)
        return;
    EXPECT_TRUE(r.records[0].at("io_full_pct").is_number()) << r.out;

    const Result none = run({"loads", "--of-cgroup", "/no/such", "1", "1"});
    EXPECT_EQ(none.status, 2);
    EXPECT_EQ(lines(none.err).size(), 1u) << none.err;
    const Result groups = run({"loads", "--of-cgroup", "/", "1", "1", "--json"});
    EXPECT_EQ(groups.status, 0) << groups.err;
    ASSERT_EQ(groups.records.size(), 1u) << groups.out;
    EXPECT_EQ(groups.records[0].at("cgroup"), "/");
    EXPECT_TRUE(groups.records[0].at("cpu_some_pct").is_number()) << groups.out;
    EXPECT_TRUE(groups.records[0].at("load1").is_null()) << groups.out;
}

} // namespace
