// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "contest.hpp"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;
using Strings = std::vector<std::string>;

Records of(const Result& result, pid_t pid) { return with(result.records, "pid", pid); }

// --- Each rung.

class RunqslowerRung : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, RunqslowerRung,
                         testing::Values("", "tp_btf", "raw_tp", "perf_buffer"), rung_name);

TEST_P(RunqslowerRung, IsTheOneTaken)
{
    const Result result = run({"runqslower", "--check", "--explain"}, env());
    EXPECT_EQ(result.status, 0) << result.err;
    const std::string taken = std::string(GetParam()) == "raw_tp" ? "raw_tp" : "tp_btf";
    EXPECT_NE(result.err.find("  " + taken + ": taken\n"), std::string::npos) << result.err;
}

TEST_P(RunqslowerRung, AWaitOfKnownLength)
{
    Contest contest;
    Tracer tracer({"runqslower", "--json", to_string(kHogUs - kSlackUs)}, env());
    contest.run();
    const Result result = tracer.stop();
    expect_exact(result);
    const Records waits = of(result, contest.waiter_pid);
    ASSERT_EQ(waits.size(), 1u) << result.out;
    const Json& r = waits[0];
    EXPECT_EQ(r.at("comm"), "waiter-a");
    EXPECT_EQ(r.at("tid"), contest.waiter_pid);
    EXPECT_GT(r.at("lat_us").get<unsigned>(), kHogUs - kSlackUs);
    EXPECT_LT(r.at("lat_us").get<unsigned>(), 1'000'000u);
    EXPECT_EQ(r.at("cpu"), cpus() - 1);
    EXPECT_EQ(r.at("prio"), 99 - 10);
    EXPECT_EQ(r.at("prev_comm"), "the-hog");
    EXPECT_EQ(r.at("prev_pid"), contest.hog_pid);
    EXPECT_EQ(r.at("prev_tid"), contest.hog_pid);
    // The one that nobody can keep waiting did not wait for it.
    EXPECT_TRUE(with(of(result, contest.hog_pid), "prev_comm", "waiter-a").empty());
}

TEST_P(RunqslowerRung, APreemptedThreadWaitsWithoutAWakeup)
{
    Child spinner([] {
        pin();
        name("spinner");
        spin_us(400'000);
    });
    Child hog([] {
        pin();
        name("the-hog");
        real_time(50);
        ::usleep(100'000);
        spin_us(kHogUs);
    });
    Tracer tracer(
        {"runqslower", "--json", to_string(kHogUs - kSlackUs), "-p", to_string(spinner.pid())},
        env());
    spinner.go();
    hog.go_wait();
    EXPECT_EQ(spinner.wait(), 0);
    const Result result = tracer.wait();
    expect_exact(result);
    ASSERT_GE(result.records.size(), 1u);
    EXPECT_GE(count_if(result.records,
                       [](const Json& r) {
                           return r.at("lat_us") > kHogUs - kSlackUs && r.at("comm") == "spinner";
                       }),
              1u)
        << result.out;
}

// Every time that the kernel itself says the process got a CPU, no more and no less.
TEST_P(RunqslowerRung, ZeroMeansEveryWait)
{
    const auto slices = [](pid_t pid) { // how often it was switched in: sched_info.pcount
        return std::stoul(words(read_file("/proc/" + to_string(pid) + "/schedstat")).at(2));
    };
    Child child([&] {
        for (int i = 0; i < 101; i++)
            ::usleep(1000);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"runqslower", "0", "--json", "-p", to_string(pid)}, env());
    const unsigned long before = slices(pid);
    child.go();
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT), 0);
    const unsigned long ran =
        slices(pid) - before; // of a process that is no more, but not forgotten
    EXPECT_EQ(child.wait(), 0);
    const Result result = tracer.wait();
    expect_exact(result);
    EXPECT_GE(ran, 50u); // on a busy host a timer may be over before the thread sleeps
    EXPECT_GE(result.records.size() + kZombie, ran);
    EXPECT_LE(result.records.size(), ran + kZombie);
    for (const Json& r : result.records)
        EXPECT_EQ(r.at("pid"), pid);
}

// --- What is no wait.

TEST(Runqslower, SleepingIsNotWaiting)
{
    // Sleeps that are longer than the threshold, with preemptions and wakeups in between. (An
    // emulated CPU of a busy host may stand still for some hundred ms.)
    Child sleeper([] {
        pin();
        real_time(60);
        for (int i = 0; i < 2; i++) {
            ::usleep(1'000'000);
            spin_us(2'000);
            ::sched_yield();
        }
    });
    Child busy([] {
        pin();
        spin_us(2'100'000);
    });
    Tracer tracer({"runqslower", "--json", "900000", "-p", to_string(sleeper.pid())});
    busy.go();
    sleeper.go_wait();
    const Result result = tracer.wait();
    EXPECT_TRUE(result.records.empty()) << result.out;
    expect_exact(result);
    busy.wait();
}

// A wait that ended below the threshold must not be the begin of a later one.
TEST(Runqslower, NoStaleStartTimes)
{
    Child child([] {
        pin();
        real_time(60);
        Gate gate;
        for (int i = 0; i < 50; i++) {
            gate.open(); // wakes nobody: the reader is this thread
            gate.wait();
        }
        ::usleep(1'000'000); // a switch out that no wakeup preceded since
        spin_us(1'000'000);  // on the CPU
    });
    Tracer tracer({"runqslower", "--json", "900000", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_TRUE(result.records.empty()) << result.out;
}

TEST(Runqslower, Threshold)
{
    Contest contest;
    Tracer tracer({"runqslower", "--json", "5000000"});
    contest.run();
    const Result result = tracer.stop();
    EXPECT_TRUE(of(result, contest.waiter_pid).empty());
    expect_exact(result);

    Contest again;
    Tracer by_default({"runqslower", "--json", "-p", to_string(again.waiter_pid)});
    again.run();
    const Result shown = by_default.wait();
    ASSERT_GE(shown.records.size(), 1u);
    for (const Json& r : shown.records)
        EXPECT_GT(r.at("lat_us").get<unsigned>(), 10'000u); // strictly more

    for (const char* bad : {"-1", "x", "1.5", ""})
        EXPECT_EQ(run({"runqslower", bad}).status, 1) << bad;
    EXPECT_EQ(run({"runqslower", "1", "2"}).status, 1);
}

// --- Filters test the thread that waited, whoever is running.

TEST(Runqslower, ProcessThatWaited)
{
    const std::string least = to_string(kHogUs - kSlackUs);
    Contest contest;
    Tracer waiter({"runqslower", "--json", least, "-p", to_string(contest.waiter_pid)});
    Tracer bystander({"runqslower", "--json", least, "-p", to_string(::getpid())});
    contest.run();
    const Result one = waiter.wait(), other = bystander.stop();
    EXPECT_EQ(one.records.size(), 1u);
    EXPECT_TRUE(other.records.empty());
    EXPECT_GE(other.account.at("filtered").get<int>(), 1);
    expect_exact(one);
    expect_exact(other);
}

TEST(Runqslower, ThreadThatWaited)
{
    Gate ready, wake_one, wake_two;
    auto* tids = static_cast<std::atomic<pid_t>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    Child process([&] {
        pin();
        const auto thread = [&](int i, const Gate& wake) {
            real_time(10 + i);
            tids[i] = pid_t(::syscall(SYS_gettid));
            wake.wait();
        };
        std::thread one([&] { thread(0, wake_one); }), two([&] { thread(1, wake_two); });
        one.join();
        two.join();
    });
    Child hog([&] {
        pin();
        real_time(50);
        ::usleep(50'000);
        wake_one.open();
        wake_two.open();
        spin_us(kHogUs);
    });
    const pid_t pid = process.pid();
    process.go();
    ASSERT_TRUE(wait_until([&] { return tids[0] && tids[1]; }));
    Tracer tracer({"runqslower", "--json", to_string(kHogUs - kSlackUs), "-t", to_string(tids[1])});
    hog.go_wait();
    EXPECT_EQ(process.wait(), 0);
    const Result result = tracer.wait();
    ASSERT_EQ(result.records.size(), 1u) << result.out;
    EXPECT_EQ(result.records[0].at("tid"), tids[1].load());
    EXPECT_EQ(result.records[0].at("pid"), pid);
    EXPECT_GE(result.account.at("filtered").get<int>(), 1);
    expect_exact(result);
}

TEST(Runqslower, CommandPrefix)
{
    const std::string least = to_string(kHogUs - kSlackUs);
    for (const auto& [prefix, found] :
         {std::pair{"waiter-", 1u}, {"waiter-a", 1u}, {"waiter-ab", 0u}, {"aiter", 0u}}) {
        Contest contest;
        Tracer tracer({"runqslower", "--json", "-c", prefix, least});
        contest.run();
        const Result result = tracer.stop();
        EXPECT_EQ(result.records.size(), found) << prefix;
        expect_exact(result);
    }
    EXPECT_EQ(run({"runqslower", "--comm", "sixteen-letters!"}).status, 1);
}

TEST(Runqslower, CgroupOfTheThreadThatWaited)
{
    Cgroup traced("traced"), other("other");
    Contest contest;
    write_file(traced.path() + "/cgroup.procs", to_string(contest.waiter_pid));
    write_file(other.path() + "/cgroup.procs", to_string(contest.hog_pid));
    const std::string least = to_string(kHogUs - kSlackUs);
    Tracer of_traced({"runqslower", "--json", least, "--cgroup", traced.path()});
    Tracer of_other({"runqslower", "--json", least, "--cgroup", other.path()});
    contest.run();
    const Result one = of_traced.stop(), none = of_other.stop();
    ASSERT_EQ(one.records.size(), 1u);
    EXPECT_EQ(one.records[0].at("pid"), contest.waiter_pid);
    EXPECT_TRUE(of(none, contest.waiter_pid).empty());
}

TEST(Runqslower, PidNamespace)
{
    in_namespaces(CLONE_NEWPID, [] {
        Contest contest;
        ASSERT_LT(contest.waiter_pid, 20);
        Tracer tracer({"runqslower", "--json", to_string(kHogUs - kSlackUs), "-p",
                       to_string(contest.waiter_pid)});
        contest.run();
        const Result result = tracer.wait();
        ASSERT_EQ(result.records.size(), 1u);
        EXPECT_EQ(result.records[0].at("comm"), "waiter-a");
        EXPECT_EQ(result.records[0].at("tid"), contest.waiter_pid);
        // A kernel thread that ran in between is in no namespace but the first: it has no ID here.
        const bool by_hog = result.records[0].at("prev_comm") == "the-hog";
        EXPECT_EQ(result.records[0].at("prev_tid"), by_hog ? contest.hog_pid : 0);
    });
}

// As Cpudist.ThreadsThatShareASlot: all wait at once.
TEST(Runqslower, ThreadsThatShareASlot)
{
    SameSlot threads(3, [] {});
    Child hog([&] {
        pin();
        real_time(50);
        threads.go();
        spin_us(kHogUs);
    });
    Tracer tracer({"runqslower", "--json", to_string(kHogUs - kSlackUs)});
    hog.go_wait();
    for (const pid_t tid : threads.tids())
        EXPECT_EQ(::waitpid(tid, nullptr, 0), tid);
    const Result result = tracer.stop();
    for (const pid_t tid : threads.tids())
        EXPECT_EQ(of(result, tid).size(), 1u) << result.out;
    expect_exact(result);
}

TEST(Runqslower, CommandAndItsTree)
{
    const Result result =
        run({"runqslower", "0", "--json", "--", "sh", "-c", "true; cat /dev/null"});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_FALSE(result.records.empty());
    for (const Json& r : result.records)
        EXPECT_TRUE(r.at("comm") == "sh" || r.at("comm") == "true" || r.at("comm") == "cat" ||
                    r.at("comm") == "corebox" || r.at("comm") == "exe" ||
                    r.at("comm") == "runqslower")
            << r;
    expect_exact(result);
}

TEST(Runqslower, DoesNotShowItself)
{
    Child child([] {
        for (int i = 0; i < 50; i++)
            ::usleep(20'000);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"runqslower", "0", "--json"});
    child.go_wait();
    const pid_t self = tracer.pid();
    const Result result = tracer.stop();
    EXPECT_FALSE(of(result, pid).empty());
    EXPECT_TRUE(of(result, self).empty());
    expect_exact(result);
}

// Many short waits, none lost: both sides of a pipe on one CPU.
TEST(Runqslower, Flood)
{
    constexpr int kRounds = 3000;
    Gate there, back;
    Child ping([&] {
        pin();
        for (int i = 0; i < kRounds; i++) {
            there.open();
            back.wait();
        }
    });
    Child pong([&] {
        pin();
        for (int i = 0; i < kRounds; i++) {
            there.wait();
            back.open();
        }
    });
    const pid_t one = ping.pid(), other = pong.pid();
    Tracer tracer({"runqslower", "0", "--json", "-p", to_string(one) + "," + to_string(other)});
    pong.go();
    ping.go_wait();
    EXPECT_EQ(pong.wait(), 0);
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0);
    expect_exact(result);
    EXPECT_GE(of(result, one).size(), std::size_t(kRounds));
    EXPECT_GE(of(result, other).size(), std::size_t(kRounds));
}

// --- Columns.

TEST(Runqslower, TextColumns)
{
    const auto rows = [](const Strings& options) {
        Contest contest;
        Strings argv{"runqslower", "-p", to_string(contest.waiter_pid),
                     to_string(kHogUs - kSlackUs)};
        argv.insert(argv.end(), options.begin(), options.end());
        Tracer tracer(argv);
        contest.run();
        const Result result = tracer.wait();
        std::vector<Strings> table;
        for (const std::string& line : lines(result.out))
            table.push_back(words(line));
        EXPECT_EQ(table.size(), 2u) << result.out;
        table.resize(2);
        table[1].resize(std::max<std::size_t>(table[1].size(), 6));
        table[1].push_back(to_string(contest.waiter_pid));
        table[1].push_back(to_string(contest.hog_pid));
        return table;
    };
    const auto plain = rows({});
    EXPECT_EQ(plain[0], (Strings{"TIME", "COMM", "TID", "LAT(us)"}));
    EXPECT_EQ(plain[1][1], "waiter-a");
    EXPECT_EQ(plain[1][2], plain[1][6]);
    EXPECT_EQ(plain[1][4], "");
    const auto previous = rows({"-P"});
    EXPECT_EQ(previous[0],
              (Strings{"TIME", "COMM", "TID", "LAT(us)", "PREV", "COMM", "PREV", "TID"}));
    EXPECT_EQ(previous[1][4], "the-hog");
    EXPECT_EQ(previous[1][5], previous[1][7]);
}

} // namespace
