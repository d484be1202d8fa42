// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <regex>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

struct Sums {
    std::uint64_t tasks = 0, processes = 0, threads = 0;
};

Sums sums(const Result& result)
{
    Sums sum;
    for (const Json& r : result.records) {
        sum.tasks += r.at("tasks").get<std::uint64_t>();
        sum.processes += r.at("processes").get<std::uint64_t>();
        sum.threads += r.at("threads").get<std::uint64_t>();
        const double seconds = r.at("interval_ns").get<double>() / 1e9;
        EXPECT_NEAR(r.at("tasks_per_s").get<double>(), r.at("tasks").get<double>() / seconds, 1);
    }
    EXPECT_EQ(sum.tasks, sum.processes + sum.threads);
    return sum;
}

void fork_and_wait(int times)
{
    for (int i = 0; i < times; i++) {
        const pid_t pid = ::fork();
        if (pid == 0)
            ::_exit(0);
        ::waitpid(pid, nullptr, 0);
    }
}

void run_threads(int times)
{
    for (int i = 0; i < times; i++)
        std::thread([] {}).join();
}

TEST(Pidpersec, FloodIsCountedExactly)
{
    Child child([] {
        fork_and_wait(401);
        run_threads(199);
    });
    Tracer tracer({"pidpersec", "--json", "-p", to_string(child.pid()), "0.5"});
    child.go_wait();
    const Result result = tracer.wait();
    const Sums sum = sums(result);
    expect_exact_flood(result, sum.tasks, 600);
    if (result.status == 0) {
        EXPECT_EQ(sum.processes, 401u);
        EXPECT_EQ(sum.threads, 199u);
    }
}

TEST(Pidpersec, TheWholeSystem)
{
    Child child([] {
        fork_and_wait(30);
        run_threads(20);
    });
    Tracer tracer({"pidpersec", "--json", "60"});
    child.go_wait();
    const Result result = tracer.stop();
    expect_exact(result);
    const Sums sum = sums(result);
    EXPECT_GE(sum.processes, 30u); // and what the kernel's own threads do
    EXPECT_LT(sum.processes, 60u);
    EXPECT_EQ(sum.threads, 20u);
}

TEST(Pidpersec, Text)
{
    const Result lines_only = run({"pidpersec", "0.2", "2"});
    EXPECT_EQ(lines_only.status, 0) << lines_only.err;
    const auto rows = lines(lines_only.out);
    ASSERT_EQ(rows.size(), 2u) << lines_only.out;
    for (const std::string& row : rows)
        EXPECT_TRUE(
            std::regex_match(row, std::regex("[0-9]{2}:[0-9]{2}:[0-9]{2}: PIDs/sec: [0-9]+")))
            << row;
    const Result table = run({"pidpersec", "--columns", "processes,threads", "0.2", "1"});
    EXPECT_EQ(words(lines(table.out).at(0)), (std::vector<std::string>{"PROCS", "THREADS"}));
    EXPECT_EQ(lines(table.out).size(), 2u);
    const Result csv = run({"pidpersec", "--csv", "0.2", "1"});
    EXPECT_EQ(lines(csv.out).at(0), "time_ns,tasks_per_s,tasks,processes,threads,interval_ns");
    EXPECT_EQ(run({"pidpersec", "x"}).status, 1);
    EXPECT_EQ(run({"pidpersec", "-p", "999999"}).status, 2);
}

} // namespace
