// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs of known order: with O_DIRECT one call is one request, and the next comes when it is done.
#include "throttled.hpp"
#include <thread>

namespace
{

using namespace corebox::test;

struct Pattern {
    std::uint64_t count = 0, random = 0, sequential = 0, bytes = 0;

    static Pattern of(const Records& records, const std::string& disk)
    {
        Pattern p;
        for (const Json& r : with(records, "disk", disk)) {
            p.count += r.at("count").get<std::uint64_t>();
            p.random += r.at("random").get<std::uint64_t>();
            p.sequential += r.at("sequential").get<std::uint64_t>();
            p.bytes += r.at("bytes").get<std::uint64_t>();
        }
        return p;
    }
};

Result trace(std::vector<std::string> arguments, const std::function<void(Tracer&)>& work,
             const Environment& env = {})
{
    return trace_tool("biopattern", std::move(arguments), work, env);
}

class Biopattern : public testing::Test
{
protected:
    static void SetUpTestSuite() { make_null_disks("queue_mode=2 irqmode=0 hw_queue_depth=64"); }
};

TEST_F(Biopattern, TellsRandomFromSequentialOnEachDisk)
{
    const File a(kSlow), b(kSlow2);
    for (const char* rung : {"tp_btf", "raw_tp"}) {
        const Result r = trace({},
                               [&](Tracer&) {
                                   a.read(23);
                                   b.write(7);
                                   for (off_t block = 200; block > 90; block -= 10)
                                       a.read(1, block * off_t(kBlock));
                                   b.read(5, 7 * kBlock); // goes on where the writes ended
                               },
                               {{"COREBOX_PROBES", rung}});
        const Pattern first = Pattern::of(r.records, "nullb0");
        EXPECT_EQ(first.count, 34u) << rung;
        EXPECT_EQ(first.sequential, 22u) << rung;
        EXPECT_EQ(first.random, 11u) << rung;
        EXPECT_EQ(first.bytes, 34 * kBlock) << rung;
        const Pattern second = Pattern::of(r.records, "nullb1");
        EXPECT_EQ(second.count, 12u) << rung;
        EXPECT_EQ(second.sequential, 11u) << rung;
        EXPECT_EQ(second.random, 0u) << rung;
        const Json row = with(r.records, "disk", "nullb0").at(0);
        EXPECT_EQ(row.at("random_percent"), 33);
        EXPECT_EQ(row.at("sequential_percent"), 67);
        EXPECT_EQ(row.at("kbytes"), 136);
    }
}

// BCC forgets the disks' positions, and with it a request, at each interval.
TEST_F(Biopattern, ARunGoesOnOverIntervals)
{
    const File disk(kSlow);
    const Result r = trace({"-d", "nullb0", "0.3"}, [&](Tracer& tracer) {
        disk.read(5);
        tracer.wait_for("nullb0");
        disk.read(5, 5 * kBlock);
        File(kSlow2).read(3);
    });
    const Pattern p = Pattern::of(r.records, "nullb0");
    EXPECT_EQ(p.count, 10u);
    EXPECT_EQ(p.sequential, 9u);
    EXPECT_EQ(p.random, 0u);
    EXPECT_GE(r.records.size(), 2u);
    EXPECT_EQ(with(r.records, "disk", "nullb1").size(), 0u);
    EXPECT_GE(r.account.at("filtered").get<unsigned>(), 3u);
}

// A flush has no place on the disk: it is no request of its own and breaks no run.
TEST_F(Biopattern, FlushesBreakNoRun)
{
    const std::string name = disk_behind("/dev/disk0");
    const File disk("/dev/disk0");
    const DiskStat before = DiskStat::of(name);
    const Result r = trace({"-d", name}, [&](Tracer&) {
        for (unsigned i = 0; i < 6; i++) {
            disk.write(1, off_t(i * kBlock));
            EXPECT_EQ(::fsync(disk.fd()), 0);
        }
    });
    EXPECT_GE((DiskStat::of(name) - before).flushes, 1u);
    const Pattern p = Pattern::of(r.records, name);
    EXPECT_EQ(p.count, 6u);
    EXPECT_EQ(p.sequential, 5u);
    EXPECT_EQ(p.random, 0u);
}

TEST_F(Biopattern, WhatTheDriverGivesBackCountsOnce)
{
    const ThrottledDisk throttled;
    const File disk(ThrottledDisk::kPath);
    const Result r =
        trace({"-d", ThrottledDisk::kName}, [&](Tracer&) { transfer(disk, false, 16384, 10); });
    const Pattern p = Pattern::of(r.records, ThrottledDisk::kName);
    EXPECT_EQ(p.count, 10u);
    EXPECT_EQ(p.sequential, 9u);
    EXPECT_EQ(p.bytes, 163840u);
}

TEST_F(Biopattern, Text)
{
    const File disk(kSlow);
    Tracer tracer({"biopattern", "-T", "-d", "/dev/nullb0"});
    disk.read(1, 1 << 20);
    disk.read(2);
    const Result r = tracer.stop();
    const auto text = lines(r.out);
    ASSERT_EQ(text.size(), 2u) << r.out;
    EXPECT_EQ(words(text[0]),
              (std::vector<std::string>{"TIME", "DISK", "%RND", "%SEQ", "COUNT", "KBYTES"}));
    const auto row = words(text[1]);
    ASSERT_EQ(row.size(), 6u);
    EXPECT_EQ(row[0].size(), 8u);
    EXPECT_EQ((std::vector<std::string>(row.begin() + 1, row.end())),
              (std::vector<std::string>{"nullb0", "50", "50", "3", "12"}));
    // Of one request nothing can be said.
    Tracer once({"biopattern", "-d", "nullb0"});
    disk.read(1);
    const auto only = lines(once.stop().out);
    ASSERT_EQ(only.size(), 2u);
    EXPECT_EQ(words(only[1]).at(2), "-");
}

TEST_F(Biopattern, BadInput)
{
    for (const auto& [argument, status] :
         std::vector<std::pair<std::vector<std::string>, int>>{{{"-d", "nosuchdisk"}, 2},
                                                               {{"-Z"}, 1},
                                                               {{"0"}, 1},
                                                               {{"1", "0"}, 1},
                                                               {{"1", "x"}, 1}}) {
        std::vector<std::string> argv{"biopattern"};
        argv.insert(argv.end(), argument.begin(), argument.end());
        EXPECT_EQ(run(argv).status, status) << argument[0];
    }
}

TEST_F(Biopattern, FloodLosesNothing)
{
    constexpr unsigned kReads = 10'000;
    const Result r = trace({"-d", "nullb0", "0.05"}, [&](Tracer&) {
        const File disk(kSlow);
        disk.read(kReads);
    });
    const Pattern p = Pattern::of(r.records, "nullb0");
    EXPECT_EQ(p.count, kReads);
    EXPECT_EQ(p.sequential, kReads - 1);
    EXPECT_GT(r.records.size(), 1u);
}

} // namespace
