// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "block.hpp"
#include "contest.hpp"
#include "drive.hpp"
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <thread>

namespace
{

using namespace corebox::test;

// Queues a piece of work on this CPU's queue "events": key_invalidate() lets the keys be looked
// through (key_schedule_gc_links()), on all kernels.
void queue_work()
{
    static int n = 0;
    const std::string key = "wqlat" + std::to_string(n++);
    const long id = ::syscall(SYS_add_key, "user", key.c_str(), "x", 1, KEY_SPEC_PROCESS_KEYRING);
    ASSERT_GE(id, 0) << errno;
    ASSERT_EQ(::syscall(SYS_keyctl, KEYCTL_INVALIDATE, id), 0) << errno;
}

// Work starts and ends in code that can be preempted: programs may be skipped, and the tool tells.
std::uint64_t skipped(const Result& result)
{
    const std::uint64_t n =
        preempts_itself() ? result.account.at("lost_nested").get<unsigned>() : 0;
    if (n == 0)
        expect_exact(result);
    EXPECT_EQ(result.account.at("lost"), n) << result.account;
    return n;
}

// A worker of a CPU that is busy with real-time work waits as long as that takes.
TEST(Wqlat, WorkWaitsForItsCpu)
{
    for (const char* rung : {"tp_btf", "raw_tp"}) {
        const Environment env{{"COREBOX_PROBES", rung}};
        Child hog([] {
            pin();
            real_time(50);
            for (int i = 0; i < 3; i++) {
                queue_work();
                spin_us(kHogUs);
                ::usleep(50'000);
            }
        });
        Tracer all({"wqlat", "--json"}, env), named({"wqlat", "--json", "-w", "events"}, env),
            apart({"wqlat", "--json", "0.1", "-W", "-N"}, env),
            other({"wqlat", "--json", "-w", "event"}, env),
            execution({"wqlat", "--json", "--execution", "-W"}, env),
            functions({"wqlat", "--json", "-F", "-w", "events"}, env),
            executed_functions({"wqlat", "--json", "--execution", "-WF"}, env);
        hog.go_wait();
        const Result any = all.stop(), events = named.stop(), by_name = apart.stop(),
                     none = other.stop(), executed = execution.stop(), waited = functions.stop(),
                     by_both = executed_functions.stop();
        ASSERT_EQ(any.records.size(), 1u);
        EXPECT_GE(values(any.records, 32768) + skipped(any), 3u) << any.out;
        ASSERT_EQ(events.records.size(), 1u);
        EXPECT_GE(values(events.records, 32768) + skipped(events), 3u) << events.out;
        EXPECT_GE(events.records[0].at("max").get<double>(), kHogUs - kSlackUs);
        EXPECT_EQ(events.records[0].at("unit"), "usecs");
        const Records same = with(by_name.records, "wqname", "events");
        EXPECT_GE(values(same, 1 << 25) + skipped(by_name), 3u) << by_name.out; // 33 ms
        EXPECT_EQ(same.at(0).at("unit"), "nsecs");
        EXPECT_TRUE(none.records.empty()) << none.out; // no queue of that name
        EXPECT_GE(none.account.at("filtered").get<unsigned>() + skipped(none), 3u);
        EXPECT_GE(values(with(executed.records, "wqname", "events")) + skipped(executed), 3u)
            << executed.out;
        const Records collector = with(waited.records, "function", "key_garbage_collector");
        EXPECT_GE(values(collector, 32768) + skipped(waited), 3u) << waited.out;
        const Records both = with(by_both.records, "function", "key_garbage_collector");
        EXPECT_GE(values(with(both, "wqname", "events")) + skipped(by_both), 3u) << by_both.out;
    }
    EXPECT_NE(run({"wqlat", "--check", "--explain"}).err.find("tp_btf: taken"), std::string::npos);
}

// A loop device has a queue of its own since 5.14: one piece of work for each read, unless the
// worker is still there from the last one.
TEST(Wqlat, CountsEachPieceOfWork)
{
    constexpr unsigned kReads = 101;
    const TempDir dir("/mnt/ext4");
    const std::string file = dir / "disk";
    ASSERT_EQ(shell("dd if=/dev/zero of=" + file +
                    " bs=4096 count=256 2>/dev/null && "
                    "losetup /dev/loop3 " +
                    file)
                  .status,
              0);
    {
        const File disk("/dev/loop3");
        if (shell("grep -qx loop3 /proc/[0-9]*/comm").status == 0) {
            EXPECT_EQ(shell("losetup -d /dev/loop3").status, 0);
            GTEST_SKIP() << "loop disks have a thread, no queue";
        }
        Tracer text({"wqlat", "-W", "-w", "loop3"}), json({"wqlat", "--json", "0.02", "-W"}),
            execution({"wqlat", "--json", "--execution", "-w", "loop3"});
        for (unsigned i = 0; i < kReads; i++) {
            disk.read(1, off_t(i * kBlock));
            ::usleep(1000);
        }
        const Result shown = text.stop(), queued = json.stop(), executed = execution.stop();
        const auto n = values(with(queued.records, "wqname", "loop3"));
        EXPECT_LE(n, kReads);
        EXPECT_GE(n + skipped(queued), kReads * 3 / 4);
        EXPECT_GE(values(executed.records) + skipped(executed), n);
        EXPECT_LE(values(executed.records), n + skipped(queued));
        EXPECT_GE(queued.records.size(), 1u);
        const auto all = lines(shown.out);
        ASSERT_GE(all.size(), 4u) << shown.out;
        EXPECT_EQ(all[1], "wqname = loop3");
        EXPECT_EQ(words(all[2]), (std::vector<std::string>{"usecs", ":", "count", "distribution"}));
        if (!preempts_itself()) {
            EXPECT_TRUE(all.back().starts_with("count " + std::to_string(n) + ", ")) << all.back();
        }
    }
    EXPECT_EQ(shell("losetup -d /dev/loop3").status, 0);
}

// Addresses of work that no kernel has, all of which have one place in the tool's maps.
std::vector<std::uint64_t> in_one_place(std::size_t n)
{
    constexpr std::uint64_t kHash = 0x9e3779b97f4a7c15, kFrom = 0x5000;
    std::vector<std::uint64_t> found;
    for (std::uint64_t work = kFrom; found.size() < n; work += 8)
        if (work * kHash >> 50 == kFrom * kHash >> 50)
            found.push_back(work);
    return found;
}

// What the tests drive by hand, beside the work that others have: its function cannot be read.
const Environment kRaw{{"COREBOX_PROBES", "raw_tp"}};

std::uint64_t driven(const Result& r) { return values(with(r.records, "function", "0x0")); }

// flush_work() lets a piece of work of its own run, which it puts into no queue by the way of
// others: nothing is known of its begin, and nothing is lost of others that have its place.
TEST(Wqlat, OnlyWhoLostItsPlaceIsLost)
{
    const auto work = in_one_place(4);
    Tracer tracer({"wqlat", "--json", "-F"}, kRaw);
    {
        const Driven queue("queue_raw_tp"), start("start_raw_tp");
        const auto queued = [&](std::uint64_t w) { queue({0, 0, w}); };
        const auto started = [&](std::uint64_t w) { start({w}); };
        queued(work[0]);
        started(work[1]); // a barrier
        started(work[0]);
        started(work[1]);
        queued(work[2]);
        queued(work[3]);
        started(work[1]);
        started(work[2]); // lost its place
        started(work[2]); // a barrier at its address
        started(work[3]);
        started(work[3]); // another
        // Of three the first and the second.
        queued(work[0]);
        queued(work[1]);
        queued(work[2]);
        started(work[2]);
        started(work[1]);
        started(work[0]);
    }
    const Result r = tracer.stop();
    EXPECT_EQ(driven(r), 3u) << r.out;
    EXPECT_EQ(r.account.at("lost_map"), 3) << r.account;
}

// Work may be queued again as soon as the kernel has taken it, before it tells that it starts.
TEST(Wqlat, QueuedAgainAsItStarts)
{
    const std::uint64_t work = in_one_place(1)[0];
    Tracer tracer({"wqlat", "--json", "-F"}, kRaw);
    {
        const Driven queue("queue_raw_tp"), start("start_raw_tp");
        queue({0, 0, work});
        queue({0, 0, work});
        start({work});
        start({work});
    }
    const Result r = tracer.stop();
    EXPECT_EQ(driven(r), 1u) << r.out;
    EXPECT_EQ(r.account.at("lost_map"), 1) << r.account;
}

// Two runs at a time of which work and worker together give one number.
TEST(Wqlat, RunsAreToldApart)
{
    const std::uint64_t work = in_one_place(1)[0];
    Tracer tracer({"wqlat", "--json", "-F", "--execution"}, kRaw);
    {
        const Driven start("start_raw_tp"), end("end_raw_tp");
        Gate begun, over;
        const auto mine = std::uint64_t(::gettid());
        std::uint64_t other = 0;
        std::thread thread([&] {
            other = work ^ mine ^ std::uint64_t(::gettid());
            start({other});
            begun.open();
            over.wait();
            end({other});
        });
        begun.wait();
        start({work});
        end({work});
        over.open();
        thread.join();
    }
    const Result r = tracer.stop();
    EXPECT_EQ(driven(r), 1u) << r.out;
    EXPECT_EQ(r.account.at("lost_map"), 1) << r.account;
}

TEST(Wqlat, BadInput)
{
    EXPECT_EQ(run({"wqlat", "-w", std::string(32, 'x')}).status, 1);
    EXPECT_EQ(run({"wqlat", "-w", std::string(31, 'x'), "0.1", "1"}).status, 0);
    EXPECT_EQ(run({"wqlat", "-w", ""}).status, 1);
    EXPECT_EQ(run({"wqlat", "0"}).status, 1);
    EXPECT_EQ(run({"wqlat", "-p", "1"}).status, 1); // work is nobody's
}

} // namespace
