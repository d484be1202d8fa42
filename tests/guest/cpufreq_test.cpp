// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The guests have no cpufreq driver: no CPU changes its frequency. What the CPUs are said to run at
// is tested with files in the place of the driver's.
#include "harness.hpp"
#include <csignal>
#include <ctime>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

void busy(unsigned cpu, const char* name)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    ::sched_setaffinity(0, sizeof set, &set);
    ::prctl(PR_SET_NAME, name);
    timespec used{};
    do
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec == 0 && used.tv_nsec < 300'000'000);
}

void pretend(unsigned cpu, unsigned khz)
{
    const std::string dir = "/sys/devices/system/cpu/cpu" + to_string(cpu);
    ASSERT_EQ(::mount("tmpfs", dir.c_str(), "tmpfs", 0, nullptr), 0);
    ASSERT_EQ(::mkdir((dir + "/cpufreq").c_str(), 0755), 0);
    write_file(dir + "/cpufreq/scaling_cur_freq", to_string(khz) + "\n");
}

// The slots of a record that are not empty: their lower ends and counts.
std::map<unsigned, unsigned> slots(const Json& record)
{
    std::map<unsigned, unsigned> out;
    for (const Json& bucket : record.at("buckets"))
        if (bucket.at("count") != 0) {
            EXPECT_EQ(bucket.at("to").get<unsigned>() - bucket.at("from").get<unsigned>(), 199u);
            out[bucket.at("from")] = bucket.at("count");
        }
    return out;
}

TEST(Cpufreq, SaysThatThereIsNoDriver)
{
    const Result r = run({"cpufreq", "-d", "1"});
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    EXPECT_NE(r.err.find("no CPU has a cpufreq driver"), std::string::npos) << r.err;
    EXPECT_EQ(run({"cpufreq", "-f", "0"}).status, 1);
    EXPECT_EQ(run({"cpufreq", "-f", "x"}).status, 1);
    EXPECT_EQ(run({"cpufreq", "--assume", "1000", "-f", "999999"}).status, 2); // the kernel's limit
}

TEST(Cpufreq, CountsWhatEachCpuRunsAt)
{
    for (const char* rung : {"", "tp_btf", "raw_tp"})
        in_namespaces(CLONE_NEWNS, [&] {
            pretend(0, 2'450'000);
            if (cpus() > 1)
                pretend(1, 800'000);
            Child fast([] { busy(0, "fa\nst"); }), slow([] { busy(cpus() - 1, "slow"); });
            Tracer tracer({"cpufreq", "--json", "-f", "199"}, forced(rung));
            fast.go_wait();
            slow.go_wait();
            const Result r = tracer.stop(SIGINT);
            EXPECT_EQ(r.status, 0) << r.err;
            expect_exact(r);
            const auto one = with(r.records, "comm", "fa\nst"),
                       two = with(r.records, "comm", "slow");
            ASSERT_EQ(one.size(), 1u);
            ASSERT_EQ(two.size(), 1u);
            EXPECT_EQ(slots(one[0]).size(), 1u);
            EXPECT_GE(slots(one[0])[2400], 5u); // of 60; a starved emulator's timers come late
            EXPECT_EQ(one[0].at("avg"), 2450);
            EXPECT_EQ(one[0].at("unit"), "MHz");
            if (cpus() > 1) {
                EXPECT_EQ(slots(two[0]).size(), 1u);
                EXPECT_GE(slots(two[0])[800], 5u);
            }
            // The whole is the last, and has the others and the idle CPUs in it; each sample once.
            const Json& whole = r.records.back();
            EXPECT_TRUE(whole.at("comm").is_null());
            std::uint64_t parts = 0;
            for (const Json& record : r.records)
                parts += record.at("comm").is_null() ? 0 : record.at("count").get<std::uint64_t>();
            EXPECT_GE(whole.at("count"), parts);
            EXPECT_EQ(whole.at("count"), r.account.at("printed"));
            EXPECT_TRUE(with(r.records, "comm", "swapper/0").empty());
        });
}

TEST(Cpufreq, AssumesAndPrints)
{
    Child child([] { busy(0, "busy"); });
    Tracer tracer({"cpufreq", "--assume", "1100", "-p", to_string(child.pid())});
    child.go_wait();
    const Result r = tracer.wait();
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.out.find("\ncomm = busy\n"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find("\ncomm = syswide\n"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find("     MHz                 : count     distribution\n"), std::string::npos);
    EXPECT_NE(r.out.find("      1000 -> 1199       : "), std::string::npos) << r.out;
}

} // namespace
