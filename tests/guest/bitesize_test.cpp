// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Requests of known size by known processes: with O_DIRECT one call is one request, as long as it
// is no larger than the disk takes.
#include "throttled.hpp"
#include <algorithm>
#include <sys/prctl.h>

namespace
{

using namespace corebox::test;

constexpr std::size_t kKib = 1024;

// A process of that name.
std::function<void()> named(const char* name, std::function<void()> work)
{
    return [name, work = std::move(work)] {
        ::prctl(PR_SET_NAME, name);
        work();
    };
}

// How many sizes from `kib` to below the next power of two.
std::uint64_t bucket(const Records& records, std::uint64_t kib)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        for (const Json& b : r.at("buckets"))
            if (b.at("from") == kib)
                n += b.at("count").get<std::uint64_t>();
    return n;
}

std::uint64_t total(const Records& records)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += r.at("count").get<std::uint64_t>();
    return n;
}

Result trace(std::vector<std::string> arguments, const std::function<void()>& work,
             const Environment& env = {}, const std::string& tool = "bitesize")
{
    return trace_tool(tool, std::move(arguments), work, env);
}

class Bitesize : public testing::Test
{
protected:
    static void SetUpTestSuite() { make_null_disks("queue_mode=2 irqmode=0 hw_queue_depth=64"); }
};

TEST_F(Bitesize, SizesByProcess)
{
    // With a scheduler requests may be issued by another task than asked for them.
    for (const auto& [rung, scheduler] : {std::pair{"tp_btf,fentry", "none"},
                                          {"tp_btf,fentry", "mq-deadline"},
                                          {"raw_tp,kprobe", "mq-deadline"}}) {
        set_queue("nullb0", "scheduler", scheduler);
        const Result r = trace({"-d", "nullb0"},
                               [&] {
                                   Child a(named("bite-a", [] {
                                       const File disk(kSlow);
                                       transfer(disk, false, 4 * kKib, 11);
                                       transfer(disk, true, 64 * kKib, 5);
                                   }));
                                   Child b(named("bite-b", [] {
                                       const File disk(kSlow), other(kSlow2);
                                       transfer(disk, false, 512, 3);
                                       transfer(disk, false, 96 * kKib, 7);
                                       transfer(other, false, 4 * kKib, 9);
                                   }));
                                   a.go();
                                   b.go();
                                   EXPECT_EQ(a.wait(), 0);
                                   EXPECT_EQ(b.wait(), 0);
                               },
                               {{"COREBOX_PROBES", rung}});
        const Records a = with(r.records, "comm", "bite-a"), b = with(r.records, "comm", "bite-b");
        EXPECT_EQ(total(a), 16u) << rung << scheduler;
        EXPECT_EQ(bucket(a, 4), 11u);
        EXPECT_EQ(bucket(a, 64), 5u);
        EXPECT_EQ(total(b), 10u) << rung << scheduler;
        EXPECT_EQ(bucket(b, 0), 3u);
        EXPECT_EQ(bucket(b, 64), 7u);
        EXPECT_EQ(total(r.records), 26u) << rung << scheduler; // nobody else's
        ASSERT_EQ(a.size(), 1u);
        EXPECT_EQ(a[0].at("unit"), "kbytes");
        EXPECT_EQ(a[0].at("max"), 64);
        EXPECT_EQ(a[0].at("min"), 4);
        EXPECT_EQ(a[0].at("p50_from"), 4);
        EXPECT_LT(a[0].at("p50_to"), 5);
        EXPECT_EQ(a[0].at("p90"), 64);
        ASSERT_EQ(b.size(), 1u);
        EXPECT_EQ(b[0].at("min"), 0.5);
        EXPECT_EQ(b[0].at("p50_from"), 96);
        EXPECT_EQ(b[0].at("p50_to"), 96);
        EXPECT_GE(r.account.at("filtered").get<unsigned>(), 9u);
    }
    set_queue("nullb0", "scheduler", "none");
}

TEST_F(Bitesize, TellsDisksAndOperationsApartAndFilters)
{
    Child child(named("bite-c", [] {
        const File disk(kSlow), other(kSlow2);
        transfer(disk, false, 4 * kKib, 5);
        transfer(disk, true, 4 * kKib, 3);
        transfer(other, false, 8 * kKib, 2);
    }));
    const Result r = trace({"-DO", "-p", std::to_string(child.pid())}, [&] {
        File(kSlow).read(6); // not that process's, with whose end the tool ends
        child.go_wait();
    });
    std::uint64_t n = 0;
    for (const Json& h : r.records) {
        EXPECT_EQ(h.at("comm"), "bite-c");
        const std::string disk = h.at("disk"), operation = h.at("operation");
        const unsigned expected = disk == "nullb1" ? 2 : operation == "read" ? 5 : 3;
        EXPECT_TRUE(operation == "read" || (operation == "write" && disk == "nullb0")) << h;
        EXPECT_EQ(h.at("count"), expected) << h;
        n += expected;
    }
    EXPECT_EQ(n, 10u);
    EXPECT_GE(r.account.at("filtered").get<unsigned>(), 6u);
}

// A journal's commit is a write with a flush before it, which an interrupt or a kernel thread
// issues; it is asked for by the journal's thread. And the prefix of a name is enough.
TEST_F(Bitesize, AWriteBehindAFlushIsItsIssuers)
{
    const TempDir dir("/mnt/ext4");
    const Result r = trace({}, [&] {
        for (const char* name : {"a", "b", "c"}) {
            const int fd = ::open((dir / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
            EXPECT_EQ(::write(fd, "text", 4), 4);
            EXPECT_EQ(::fsync(fd), 0);
            ::close(fd);
        }
    });
    std::uint64_t journal = 0;
    for (const Json& h : r.records) {
        const std::string comm = h.at("comm");
        EXPECT_FALSE(comm.starts_with("swapper") || comm.starts_with("ksoftirqd")) << h;
        EXPECT_EQ(comm.find("kblockd"), comm.npos) << h;
        if (comm.starts_with("jbd2/"))
            journal += h.at("count").get<std::uint64_t>();
    }
    EXPECT_GE(journal, 3u); // at least a commit for each
    const Result only = trace({"-c", "jbd2/"}, [&] {
        const int fd = ::open((dir / "d").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        EXPECT_EQ(::write(fd, "text", 4), 4);
        EXPECT_EQ(::fsync(fd), 0);
        ::close(fd);
    });
    EXPECT_GE(total(only.records), 1u);
    for (const Json& h : only.records)
        EXPECT_TRUE(h.at("comm").get<std::string>().starts_with("jbd2/")) << h;
}

TEST_F(Bitesize, Bitehist)
{
    const auto work = [] {
        const File disk(kSlow);
        transfer(disk, false, 4 * kKib, 11);
        transfer(disk, true, 52 * kKib, 5);
        transfer(disk, false, 96 * kKib, 7);
    };
    const Result r = trace({"-d", "nullb0"}, work, {}, "bitehist");
    ASSERT_EQ(r.records.size(), 2u) << r.out;
    EXPECT_EQ(r.records[0].count("comm"), 0u);
    EXPECT_EQ(r.records[0].at("count"), 23);
    EXPECT_EQ(bucket({r.records[0]}, 32), 5u);
    EXPECT_EQ(r.records[1].at("linear"), (Json::array({{{"size", 4}, {"count", 11}},
                                                       {{"size", 52}, {"count", 5}},
                                                       {{"size", 96}, {"count", 7}}})));
    Tracer tracer({"bitehist", "-d", "nullb0"});
    work();
    const Result text = tracer.stop(SIGINT);
    EXPECT_NE(text.out.find("log2 histogram\n"), text.out.npos) << text.out;
    EXPECT_NE(text.out.find("linear histogram\n"), text.out.npos);
    EXPECT_NE(text.out.find("     52            : 5        |"), text.out.npos) << text.out;
    EXPECT_NE(text.err.find("bitehist: "), text.err.npos) << text.err;
}

TEST_F(Bitesize, WhatTheDriverGivesBackCountsOnce)
{
    const ThrottledDisk throttled;
    const File disk(ThrottledDisk::kPath);
    for (const char* rung : {"tp_btf,fentry", "raw_tp,kprobe"}) {
        const Result r =
            trace({"-d", ThrottledDisk::kName}, [&] { transfer(disk, true, 16384, 10); },
                  {{"COREBOX_PROBES", rung}});
        EXPECT_EQ(total(r.records), 10u) << rung;
        EXPECT_EQ(bucket(r.records, 16), 10u) << rung;
        // Not the kernel thread's that issues what the driver had no room for.
        EXPECT_EQ(total(with(r.records, "comm", "guest_tests")), 10u) << rung << r.out;
    }
}

TEST_F(Bitesize, TextAndBadInput)
{
    Tracer tracer({"bitesize", "-T", "-d", "nullb0"});
    transfer(File(kSlow), false, 4 * kKib, 3);
    const Result r = tracer.stop();
    const auto text = lines(r.out);
    ASSERT_GE(text.size(), 6u) << r.out;
    EXPECT_EQ(text[1].size(), 8u);
    EXPECT_NE(r.out.find("comm = guest_tests\n     kbytes              : count"), r.out.npos)
        << r.out;
    EXPECT_NE(r.out.find("         4 -> 7          : 3        |*****"), r.out.npos) << r.out;
    for (const auto& [argument, status] :
         std::vector<std::pair<std::vector<std::string>, int>>{{{"-d", "nosuchdisk"}, 2},
                                                               {{"-c", "a-name-of-17-byte"}, 1},
                                                               {{"0"}, 1},
                                                               {{"-Z"}, 1}}) {
        std::vector<std::string> argv{"bitesize"};
        argv.insert(argv.end(), argument.begin(), argument.end());
        EXPECT_EQ(run(argv).status, status) << argument[0];
    }
}

TEST_F(Bitesize, FloodLosesNothing)
{
    constexpr unsigned kReads = 10'000;
    const Result r = trace({"-d", "nullb0", "0.05"}, [&] {
        const File disk(kSlow);
        disk.read(kReads);
    });
    EXPECT_EQ(total(with(r.records, "comm", "guest_tests")), kReads);
    EXPECT_GT(r.records.size(), 1u);
}

} // namespace
