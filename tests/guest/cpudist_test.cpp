// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "contest.hpp"

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr unsigned kSleeps = 7;
constexpr unsigned kSleepUs = 100'000;
constexpr unsigned kSleepBucket = 65536; // where 100 ms are

void work_and_sleep()
{
    for (unsigned i = 0; i < kSleeps; i++) {
        spin_us(4'000);
        ::usleep(kSleepUs);
    }
}

// Time on a CPU: each slice once, however it ended (upstream counts those that were preempted
// only), and all of it. Time without: the sleeps in their bucket.
TEST(Cpudist, OnAndOffOnEachRung)
{
    for (const char* rung : {"tp_btf", "raw_tp"}) {
        const Environment env{{"COREBOX_PROBES", rung}};
        Child child(work_and_sleep);
        const std::string pid = to_string(child.pid());
        Tracer on({"cpudist", "--json", "-e", "-p", pid}, env);
        Tracer off({"cpudist", "--json", "-O", "-p", pid}, env);
        Tracer bystander({"cpudist", "--json", "-P", "-p", to_string(::getpid())}, env);
        const Ran ran = run_and_ask(child);
        const Result on_cpu = on.wait(), off_cpu = off.wait(), other = bystander.stop();
        for (const Result* r : {&on_cpu, &off_cpu, &other})
            expect_exact(*r);
        ASSERT_EQ(on_cpu.records.size(), 1u) << on_cpu.out;
        ASSERT_EQ(off_cpu.records.size(), 1u) << off_cpu.out;
        // Each time that it got a CPU it lost it again, the last time for ever.
        EXPECT_GE(values(on_cpu.records) + kZombie, ran.slices);
        EXPECT_LE(values(on_cpu.records), ran.slices + kZombie);
        EXPECT_GE(values(off_cpu.records) + kZombie, ran.slices - 1);
        EXPECT_LE(values(off_cpu.records), ran.slices + kZombie);
        EXPECT_GE(sum_of(on_cpu.records) * 1000, 0.8 * double(ran.ns));
        EXPECT_GE(sum_of(on_cpu.records), kSleeps * 4'000 * 0.9);
        EXPECT_GE(values(off_cpu.records, kSleepBucket), kSleeps) << off_cpu.out;
        EXPECT_GE(off_cpu.records[0].at("max").get<double>(), kSleepUs - 10'000);
        for (const Json& r : other.records)
            EXPECT_EQ(r.at("pid"), ::getpid());
    }
    EXPECT_NE(run({"cpudist", "--check", "--explain"}).err.find("tp_btf: taken"),
              std::string::npos);
}

// Who died is not without a CPU until the next one gets its number.
TEST(Cpudist, ANumberThatIsUsedAgain)
{
    constexpr pid_t kNumber = 30'011;
    Tracer tracer({"cpudist", "--json", "-O", "-L", "0.1"});
    for (int i = 0; i < 2; i++) {
        ASSERT_EQ(with_number(kNumber,
                              [] {
                                  name("again");
                                  ::usleep(50'000);
                              }),
                  kNumber);
        ASSERT_EQ(::waitpid(kNumber, nullptr, 0), kNumber);
        ::usleep(i ? 0 : 2'000'000);
    }
    const Result result = tracer.stop();
    const Records those = with(result.records, "tid", kNumber);
    EXPECT_GE(values(those, 32768), 2u); // their sleeps
    EXPECT_LT(sum_of(those), 1'900'000);
    expect_exact(result);
}

// Where the kernel gives out more numbers than there are slots, threads share them: of each thread
// each time is there all the same.
TEST(Cpudist, ThreadsThatShareASlot)
{
    constexpr unsigned kNaps = 30;
    SameSlot threads(4, [] {
        for (unsigned i = 0; i < kNaps; i++)
            ::usleep(2'000);
    });
    Tracer tracer({"cpudist", "--json", "-O", "-L"});
    const auto ran = threads.run_and_ask();
    const Result result = tracer.stop();
    for (const auto& [tid, of] : ran) {
        const auto n = values(with(result.records, "tid", tid));
        EXPECT_GE(n, kNaps) << tid;
        EXPECT_GE(n + kZombie, of.slices - 1) << tid;
        EXPECT_LE(n, of.slices + kZombie) << tid;
        EXPECT_GE(sum_of(with(result.records, "tid", tid)), kNaps * 2'000) << tid;
    }
    expect_exact(result);
}

// Without -I the idle tasks have no part; with it each CPU's is measured by itself, so that all of
// the time of all CPUs is there once.
TEST(Cpudist, IdleTasksEachOfItsCpu)
{
    const auto start = now_us();
    Tracer all({"cpudist", "--json", "-I"});
    const auto attached = now_us();
    Tracer threads({"cpudist", "--json", "-I", "-L", "0.25"}), plain({"cpudist", "--json", "-L"}),
        off({"cpudist", "--json", "-O", "-I", "-L"});
    Child child(work_and_sleep);
    const pid_t pid = child.pid();
    child.go_wait();
    const auto end = now_us();
    const Result everything = all.stop();
    const auto ended = now_us();
    const Result by_thread = threads.stop(), without = plain.stop(), off_cpu = off.stop();
    // Of a slice that has not ended nothing is counted yet, and ticks are off for seconds at most.
    EXPECT_LE(sum_of(everything.records), double(ended - start) * cpus() * 1.05);
    EXPECT_GE(sum_of(everything.records), double(end - attached) * 0.5);
    EXPECT_FALSE(with(by_thread.records, "tid", 0).empty());
    EXPECT_FALSE(with(by_thread.records, "comm", "swapper/" + to_string(cpus() - 1)).empty());
    EXPECT_TRUE(with(without.records, "tid", 0).empty());
    const Records busy = with(off_cpu.records, "tid", 0);
    EXPECT_FALSE(busy.empty());
    EXPECT_LE(sum_of(busy), double(now_us() - attached) * cpus());
    const Records mine = with(without.records, "tid", pid);
    ASSERT_EQ(mine.size(), 1u);
    EXPECT_GE(values(mine), kSleeps);
    EXPECT_EQ(mine[0].at("comm"), "guest_tests");
    for (const Result* r : {&everything, &by_thread, &without, &off_cpu})
        expect_exact(*r);
}

TEST(Cpudist, TextCgroupAndBadInput)
{
    const Cgroup cgroup("cpudist");
    Child child([&] {
        cgroup.enter();
        work_and_sleep();
    });
    const pid_t pid = child.pid();
    Tracer text({"cpudist", "-OmTe", "-c", cgroup.path(), "3600"});
    Tracer json({"cpudist", "-O", "-P", "-c", cgroup.path(), "--json"});
    child.go_wait();
    const Result result = text.stop(), same = json.stop();
    EXPECT_EQ(result.status, 0) << result.err;
    const auto all = lines(result.out);
    ASSERT_GE(all.size(), 5u) << result.out;
    EXPECT_EQ(all[1].size(), 8u) << all[1];
    EXPECT_EQ(words(all[2]), (std::vector<std::string>{"msecs", ":", "count", "distribution"}));
    EXPECT_TRUE(all.back().starts_with("avg = ")) << all.back();
    EXPECT_NE(all.back().find(" msecs, total: "), std::string::npos);
    EXPECT_NE(result.out.find("64 -> 127 "), std::string::npos) << result.out;
    ASSERT_EQ(same.records.size(), 1u) << same.out; // whoever ran before and after
    EXPECT_EQ(same.records[0].at("pid"), pid);
    EXPECT_EQ(run({"cpudist", "-p", "x"}).status, 1);
    EXPECT_EQ(run({"cpudist", "0"}).status, 1);
    EXPECT_EQ(run({"cpudist", "1", "1", "1"}).status, 1);
}

TEST(Cpudist, Flood)
{
    constexpr unsigned kRounds = 3000;
    PingPong game(kRounds);
    Tracer on({"cpudist", "--json", "0.1", "-P", "-p", game.pids()});
    Tracer off({"cpudist", "--json", "-O", "-P", "-p", game.pids()});
    game.run();
    for (const Result& result : {on.wait(), off.wait()}) {
        expect_exact(result);
        for (const pid_t pid : {game.ping_pid, game.pong_pid})
            EXPECT_GE(values(with(result.records, "pid", pid)), kRounds - 2) << pid;
        EXPECT_EQ(values(result.records), result.account.at("printed"));
    }
}

} // namespace
