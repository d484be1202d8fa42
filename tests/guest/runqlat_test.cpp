// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "contest.hpp"
#include <atomic>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr unsigned kLong = 32768; // begin of the bucket that the hog's 60 ms, less slack, are in
static_assert(kHogUs - kSlackUs >= kLong && kHogUs < 2 * kLong);

// A wait of known length is in its bucket, that of the process that waited; who ran meanwhile has
// none. Each wait that the kernel itself counts is counted, whatever the intervals.
TEST(Runqlat, WaitsOfKnownLengthAndNumberOnEachRung)
{
    for (const char* rung : {"tp_btf", "raw_tp"}) {
        const Environment env{{"COREBOX_PROBES", rung}};
        Contest contest;
        Tracer waiter({"runqlat", "--json", "-p", to_string(contest.waiter_pid)}, env);
        Tracer bystander({"runqlat", "--json", "-p", to_string(::getpid())}, env);
        contest.run();
        const Result one = waiter.wait(), other = bystander.stop();
        expect_exact(one);
        expect_exact(other);
        ASSERT_EQ(one.records.size(), 1u) << one.out;
        EXPECT_EQ(values(one.records, kLong), 1u) << one.out;
        EXPECT_GE(one.records[0].at("max").get<double>(), kHogUs - kSlackUs);
        EXPECT_EQ(one.records[0].at("unit"), "usecs");
        EXPECT_EQ(values(one.records), one.account.at("printed"));
        EXPECT_GE(other.account.at("filtered").get<int>(), 1);

        Child child([] {
            for (int i = 0; i < 101; i++)
                ::usleep(1000);
        });
        Tracer often({"runqlat", "--json", "0.02", "-p", to_string(child.pid())}, env);
        const Ran ran = run_and_ask(child);
        const Result all = often.wait();
        expect_exact(all);
        EXPECT_GT(all.records.size(), 2u);
        EXPECT_GE(values(all.records) + kZombie, ran.slices);
        EXPECT_LE(values(all.records), ran.slices + kZombie);
    }
    EXPECT_NE(run({"runqlat", "--check", "--explain"}).err.find("tp_btf: taken"),
              std::string::npos);
}

// The keys: thread, process, PID namespace and cgroup of who waited, not of who ran.
TEST(Runqlat, ByThreadProcessNamespaceAndCgroup)
{
    std::optional<Cgroup> cgroup(std::in_place, "runqlat");
    struct Shared {
        std::atomic<pid_t> tids[2];
        std::atomic<ino_t> pid_namespace;
    };
    auto* shared =
        new (::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
            Shared{};
    Gate wake[2];
    Child process([&] {
        pin();
        cgroup->enter();
        const auto thread = [&](int i) {
            name(i ? "second" : "first");
            real_time(10 + i);
            shared->tids[i] = pid_t(::syscall(SYS_gettid));
            wake[i].wait();
        };
        std::thread one([&] { thread(0); }), two([&] { thread(1); });
        one.join();
        two.join();
    });
    name("guest_tests"); // whatever it was
    Child hog([&] {
        pin();
        real_time(50);
        wake[0].open();
        wake[1].open();
        spin_us(kHogUs);
        ::usleep(1000);
    });
    const pid_t pid = process.pid();
    process.go();
    ASSERT_TRUE(wait_until([&] {
        return shared->tids[0] && shared->tids[1] && sleeps(shared->tids[0]) &&
               sleeps(shared->tids[1]);
    }));
    struct stat st {
    };
    ASSERT_EQ(::stat(("/proc/" + to_string(pid) + "/ns/pid").c_str(), &st), 0);

    Tracer threads({"runqlat", "--json", "-L"}), processes({"runqlat", "-P"});
    Tracer groups({"runqlat", "--json", "--pidnss", "--cgroups"});
    Tracer in_group({"runqlat", "--json", "-c", cgroup->path(), "-P"});
    hog.go_wait();
    EXPECT_EQ(process.wait(), 0);
    const Result by_tid = threads.stop(), by_pid = processes.stop(), filtered = in_group.stop();
    cgroup.reset(); // its name is known still
    const Result by_group = groups.stop();
    for (int i = 0; i < 2; i++) {
        const Records mine = with(by_tid.records, "tid", shared->tids[i].load());
        ASSERT_EQ(mine.size(), 1u) << by_tid.out;
        EXPECT_EQ(mine[0].at("comm"), i ? "second" : "first");
        EXPECT_EQ(values(mine, kLong), 1u) << mine[0];
        EXPECT_EQ(mine[0].count("pid"), 0u);
    }
    EXPECT_TRUE(with(by_tid.records, "tid", 0).empty()) << "idle tasks do not wait";
    EXPECT_NE(by_pid.out.find("\npid = " + to_string(pid) + ", comm = guest_tests\n"),
              std::string::npos)
        << by_pid.out;
    // Who was reaped before it left its CPU is in no namespace any more.
    const Records mine = with(with(by_group.records, "cgroup", "/runqlat"), "pidns", st.st_ino);
    ASSERT_EQ(mine.size(), 1u) << by_group.out;
    EXPECT_EQ(values(mine, kLong), 2u);
    ASSERT_EQ(filtered.records.size(), 1u) << filtered.out;
    EXPECT_EQ(filtered.records[0].at("pid"), pid);
    EXPECT_EQ(values(filtered.records, kLong), 2u);
    for (const Result* r : {&by_tid, &by_group, &filtered})
        expect_exact(*r);
}

TEST(Runqlat, PidNamespaces)
{
    ino_t inner = 0;
    Tracer tracer({"runqlat", "--json", "--pidnss"});
    in_namespaces(CLONE_NEWPID, [] {
        struct stat st {
        };
        ASSERT_EQ(::stat("/proc/self/ns/pid", &st), 0);
        write_file("/tmp/runqlat.ns", to_string(st.st_ino));
        Contest contest;
        Tracer own({"runqlat", "--json", "-P", "-p", to_string(contest.waiter_pid)});
        contest.run();
        const Result result = own.wait();
        ASSERT_EQ(result.records.size(), 1u) << result.out;
        EXPECT_EQ(result.records[0].at("pid"), contest.waiter_pid);
        EXPECT_EQ(result.records[0].at("comm"), "waiter-a");
        EXPECT_EQ(values(result.records, kLong), 1u);

        // Those outside are not counted together as one process.
        Contest again;
        Tracer all({"runqlat", "--json", "-P"});
        again.run();
        const Result here = all.stop();
        EXPECT_EQ(values(with(here.records, "pid", again.waiter_pid), kLong), 1u) << here.out;
        EXPECT_EQ(with(here.records, "pid", 0).size(), 0u) << here.out;
        EXPECT_GT(here.account.at("filtered"), 0);
        expect_exact(here);
    });
    inner = std::stoul(read_file("/tmp/runqlat.ns"));
    const Result result = tracer.stop();
    EXPECT_GE(values(with(result.records, "pidns", inner), kLong), 1u) << result.out;
    expect_exact(result);
}

// As Cpudist.ThreadsThatShareASlot.
TEST(Runqlat, ThreadsThatShareASlot)
{
    constexpr unsigned kNaps = 30;
    SameSlot threads(4, [] {
        for (unsigned i = 0; i < kNaps; i++) {
            ::usleep(2'000);
            spin_us(500); // meanwhile others wait
        }
    });
    Tracer tracer({"runqlat", "--json", "-L"});
    const auto ran = threads.run_and_ask();
    const Result result = tracer.stop();
    for (const auto& [tid, of] : ran) {
        const auto n = values(with(result.records, "tid", tid));
        EXPECT_GE(n, kNaps) << tid;
        EXPECT_GE(n + kZombie, of.slices) << tid;
        EXPECT_LE(n, of.slices + kZombie) << tid;
    }
    expect_exact(result);
}

TEST(Runqlat, TextAndBadInput)
{
    Child busy([] {
        pin();
        spin_us(10'000'000);
    });
    Child other([] {
        pin();
        spin_us(10'000'000);
    });
    busy.go();
    other.go();
    const Result text = run({"runqlat", "-mT", "0.3", "2"});
    EXPECT_EQ(text.status, 0) << text.err;
    const auto all = lines(text.out);
    ASSERT_GE(all.size(), 5u) << text.out;
    EXPECT_EQ(all[0], "");
    EXPECT_EQ(all[1].size(), 8u) << all[1];
    EXPECT_EQ(words(all[2]), (std::vector<std::string>{"msecs", ":", "count", "distribution"}));
    EXPECT_NE(text.out.find(", p99 "), std::string::npos);
    EXPECT_EQ(run({"runqlat", "0"}).status, 1);
    EXPECT_EQ(run({"runqlat", "1", "x"}).status, 1);
    EXPECT_EQ(run({"runqlat", "-p", "999999"}).status, 2);
}

TEST(Runqlat, Flood)
{
    constexpr unsigned kRounds = 3000;
    PingPong game(kRounds);
    Tracer tracer({"runqlat", "--json", "0.1", "-P", "-p", game.pids()});
    game.run();
    const Result result = tracer.wait();
    expect_exact(result);
    for (const pid_t pid : {game.ping_pid, game.pong_pid})
        EXPECT_GE(values(with(result.records, "pid", pid)), kRounds - 2) << pid;
    EXPECT_EQ(values(result.records), result.account.at("printed"));
}

} // namespace
