// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What needs two nodes runs in the guest that has them: scripts/test boots one for tests whose name
// begins with "Numa".
#include "contest.hpp"
#include <algorithm>
#include <csignal>
#include <linux/sched.h>
#include <sys/syscall.h>

namespace
{

using namespace corebox::test;
using std::to_string;

bool has_nodes() { return ::access("/sys/devices/system/node/node1", F_OK) == 0; }

// The node of a CPU; the guest's CPUs have one each.
unsigned node_of(unsigned cpu)
{
    for (unsigned node = 0;; node++)
        if (::access(("/sys/devices/system/node/node" + to_string(node) + "/cpu" + to_string(cpu))
                         .c_str(),
                     F_OK) == 0)
            return node;
}

void move(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        pin(i % 2 ? 0 : cpus() - 1);
}

TEST(Numasched, EachMoveOnEachRung)
{
    constexpr unsigned kMoves = 101;
    for (const char* rung : {"tp_btf", "raw_tp", "perf_buffer"}) {
        const Environment env{{"COREBOX_PROBES", rung}};
        Child other([] {
            name("other");
            pin(0);
            move(20);
        });
        Child child([] {
            name("mover");
            pin(0);
            move(kMoves);
            for (int i = 0; i < 50; i++) // switches that are no moves
                ::usleep(100);
        });
        const pid_t pid = child.pid();
        Tracer tracer({"numasched", "--json", "-p", to_string(pid)}, env);
        Tracer by_name({"numasched", "--json", "-c", "mover"}, env);
        other.go_wait();
        child.go_wait();
        const Result result = tracer.wait(), named = by_name.stop();
        expect_exact(result);
        expect_exact(named);
        if (!has_nodes()) {
            EXPECT_TRUE(result.records.empty());
            continue;
        }
        // It may have begun on the other node, and been moved to the first.
        ASSERT_GE(result.records.size(), kMoves);
        ASSERT_LE(result.records.size(), kMoves + 2);
        EXPECT_GE(result.account.at("filtered").get<unsigned>(), 19u);
        Json last;
        Records in_order = result.records; // perf buffers are read one CPU after the other
        std::ranges::sort(in_order, {}, [](const Json& r) { return r.at("time_ns").get<long>(); });
        for (const Json& r : in_order) {
            EXPECT_EQ(r.at("pid"), pid);
            EXPECT_EQ(r.at("tid"), pid);
            EXPECT_NE(r.at("from_node"), r.at("to_node"));
            EXPECT_EQ(r.at("to_node"), node_of(r.at("cpu")));
            if (!last.is_null()) {
                EXPECT_EQ(r.at("from_node"), last);
            }
            last = r.at("to_node");
        }
        EXPECT_EQ(in_order.back().at("comm"), "mover");
        EXPECT_EQ(last, node_of(cpus() - 1));
        EXPECT_GE(named.records.size(), kMoves);
        EXPECT_LE(named.records.size(), kMoves + 2);
    }
    EXPECT_NE(run({"numasched", "--check", "--explain"}).err.find("tp_btf: taken"),
              std::string::npos);
}

// Who gets the number of one that died has not moved.
TEST(Numasched, ANumberThatIsUsedAgain)
{
    constexpr pid_t kNumber = 30'013;
    Tracer tracer({"numasched", "--json"});
    for (unsigned i = 0; i < 6; i++) {
        pin(i % 2 ? 0 : cpus() - 1); // the child begins there
        clone_args args{};
        args.exit_signal = SIGCHLD;
        args.set_tid = reinterpret_cast<std::uintptr_t>(&kNumber);
        args.set_tid_size = 1;
        const long pid = ::syscall(SYS_clone3, &args, sizeof args);
        if (pid == 0)
            ::_exit(0);
        ASSERT_EQ(pid, kNumber);
        ASSERT_EQ(::waitpid(kNumber, nullptr, 0), kNumber);
    }
    const Result result = tracer.stop();
    expect_exact(result);
    EXPECT_TRUE(with(result.records, "pid", kNumber).empty()) << result.out;
    EXPECT_TRUE(with(result.records, "tid", 0).empty()) << "idle tasks stay where they are";
    if (has_nodes()) {
        EXPECT_GE(with(result.records, "pid", ::getpid()).size(), 5u);
    }
    cpu_set_t all;
    CPU_ZERO(&all);
    for (unsigned cpu = 0; cpu < cpus(); cpu++)
        CPU_SET(cpu, &all);
    EXPECT_EQ(::sched_setaffinity(0, sizeof all, &all), 0);
}

TEST(Numasched, TextAndBadInput)
{
    Child child([] { move(2); });
    const pid_t pid = child.pid();
    Tracer tracer({"numasched", "-t", to_string(pid)});
    child.go_wait();
    const Result result = tracer.wait();
    const auto all = lines(result.out);
    ASSERT_GE(all.size(), 1u);
    EXPECT_EQ(words(all[0]),
              (std::vector<std::string>{"TIME", "PID", "TID", "SRC_NID", "DST_NID", "COMM"}));
    if (has_nodes()) {
        ASSERT_GE(all.size(), 2u);
        EXPECT_EQ(words(all.back()).size(), 6u) << all.back();
        EXPECT_EQ(words(all.back()).at(5), "guest_tests");
    }
    EXPECT_EQ(run({"numasched", "-t", "x"}).status, 1);
    EXPECT_EQ(run({"numasched", "1"}).status, 1);
}

// Moves as fast as they go, none lost.
TEST(Numasched, Flood)
{
    constexpr unsigned kMoves = 2000;
    Child child([] {
        pin(0);
        move(kMoves);
    });
    Tracer tracer({"numasched", "--json", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    if (has_nodes()) {
        EXPECT_GE(result.records.size(), kMoves);
        EXPECT_LE(result.records.size(), kMoves + 2);
    }
}

} // namespace
