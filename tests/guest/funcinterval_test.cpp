// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The time between calls, of which there is one less than calls.
#include "harness.hpp"
#include "traced.hpp"
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr int kNapNs = 20'000'000;

Result trace(const std::vector<std::string>& arguments, const Environment& env,
             const std::function<void()>& work)
{
    return watch("funcinterval", arguments, work, {.env = env, .others_too = true});
}

std::uint64_t counted(const Result& r)
{
    std::uint64_t n = 0;
    for (const Json& record : r.records)
        n += record.at("count").get<std::uint64_t>();
    return n;
}

void nap(int times)
{
    for (int i = 0; i < times; i++)
        traced_nap(1, 1);
}

// Every kind of point, by every way to probe it.
TEST(Funcinterval, TimeBetweenCalls)
{
    const std::string user = this_program() + ":traced_nap";
    for (const auto& [pattern, rungs] :
         {std::pair<std::string, std::vector<std::string>>{user, {"", "uprobe"}},
          {"hrtimer_nanosleep", {"", "kprobe"}},
          {"t:syscalls:sys_enter_clock_nanosleep", {"", "tracepoint"}}})
        for (const std::string& rung : rungs) {
            SCOPED_TRACE(pattern + " " + rung);
            const Environment env = forced(rung);
            const Result r = trace({pattern}, env, [] { nap(6); });
            EXPECT_EQ(r.status, 0) << r.err;
            ASSERT_EQ(r.records.size(), 1u) << r.out << r.err;
            const Json& h = r.records[0];
            EXPECT_EQ(h.at("count"), 5);
            EXPECT_GE(h.at("min"), kNapNs);
            EXPECT_EQ(h.at("unit"), "nsecs");
            EXPECT_EQ(r.account.at("printed"), 5);
            EXPECT_EQ(r.account.at("lost"), 0);
            for (const Json& bucket : h.at("buckets"))
                if (bucket.at("to") < 1 << 24)
                    EXPECT_EQ(bucket.at("count"), 0);
        }
}

TEST(Funcinterval, ThreadsIntervalsAndSeveralFunctions)
{
    const std::string program = this_program();
    const auto threads = [] {
        std::vector<std::thread> all;
        for (int i = 0; i < 3; i++)
            all.emplace_back([] { nap(4); });
        for (std::thread& thread : all)
            thread.join();
    };
    const Result any = trace({"-u", program + ":traced_nap"}, {}, threads);
    EXPECT_EQ(counted(any), 11u) << any.out;
    EXPECT_EQ(any.records.at(0).at("unit"), "usecs");
    const Result each = trace({"-m", "--per-thread", program + ":traced_nap"}, {}, threads);
    EXPECT_EQ(counted(each), 9u) << each.out;
    EXPECT_GE(each.records.at(0).at("min"), 20.0);
    // Of two functions together; from one report to the next nothing is lost.
    const Result both = trace({"-i", "0.03", program + ":traced_*"}, {}, [] {
        for (int i = 0; i < 3; i++)
            traced_outer(1);
    });
    EXPECT_EQ(counted(both), 8u) << both.out;
    EXPECT_GE(both.records.size(), 2u);

    const Result text = run({"funcinterval", "-d", "0.3", "-u", "-T", "t:sched:sched_switch"});
    EXPECT_EQ(text.status, 0) << text.err;
    EXPECT_NE(text.out.find("     usecs               : count     distribution\n"),
              std::string::npos)
        << text.out;
    EXPECT_NE(text.out.find("\navg = "), std::string::npos) << text.out;

    for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
             {}, {"-u", "-m", "vfs_read"}, {"r::vfs_read"}, {""}}) {
        auto argv = bad;
        argv.insert(argv.begin(), "funcinterval");
        const Result r = run(argv);
        EXPECT_EQ(r.status, 1) << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
    for (const char* none : {"no_such_function", "t:no:such", "c:no_such_function"})
        EXPECT_EQ(run({"funcinterval", none}).status, 2) << none;
}

// Hits on two CPUs at once: each is measured from one before it, so that all together are no longer
// than the time that passed.
TEST(Funcinterval, Flood)
{
    constexpr int kCalls = 30'000;
    const auto read = [] {
        char byte;
        const int in = ::open("/dev/zero", O_RDONLY);
        for (int i = 0; i < kCalls; i++)
            if (::read(in, &byte, 1) != 1)
                throw std::runtime_error("read");
    };
    Child a(read), b(read);
    Tracer tracer({"funcinterval", "--json", "-p", to_string(a.pid()) + "," + to_string(b.pid()),
                   "vfs_read"});
    const auto begin = std::chrono::steady_clock::now();
    a.go();
    b.go();
    EXPECT_EQ(a.wait(), 0);
    EXPECT_EQ(b.wait(), 0);
    const auto elapsed = std::chrono::steady_clock::now() - begin;
    const Result r = tracer.wait();
    ASSERT_EQ(r.records.size(), 1u);
    EXPECT_EQ(counted(r) + r.account.at("lost").get<std::uint64_t>(), 2u * kCalls - 1);
    // Without atomic exchanges, which came with bpf_prog::active in 5.12, it may be a little more.
    if (has_member("bpf_prog", "active"))
        EXPECT_LE(r.records[0].at("sum").get<double>(),
                  double(std::chrono::nanoseconds(elapsed).count()));
}

} // namespace
