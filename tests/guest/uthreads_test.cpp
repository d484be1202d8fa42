// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "runtime.hpp"
#include <pthread.h>
#include <set>
#include <unistd.h>

extern "C" {
void* uthreads_work(void* arg) { return arg; }
}

namespace
{

using namespace corebox::test;
using std::to_string;

class UthreadsRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, UthreadsRung, testing::Values("", "raw_tp,uprobe,perf_buffer"),
                         rung_name);

void run_threads(int count)
{
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        EXPECT_EQ(::pthread_create(&thread, nullptr, uthreads_work, nullptr), 0);
        EXPECT_EQ(::pthread_join(thread, nullptr), 0);
    }
    ::usleep(200'000); // the tool asks the live process for names
}

TEST_P(UthreadsRung, PthreadsAndTheirFunctions)
{
    Child child([] {
        run_threads(7);
        const pid_t pid = ::fork(); // no thread
        if (pid == 0)
            ::_exit(0);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"uthreads", "-l", "c", "--json", to_string(pid)}, env());
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 7u) << result.out;
    std::set<pid_t> tids;
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("type"), "pthread");
        EXPECT_EQ(r.at("description"), "uthreads_work");
        EXPECT_EQ(r.at("start"), reinterpret_cast<std::uint64_t>(uthreads_work));
        EXPECT_TRUE(r.at("vm_id").is_null());
        tids.insert(r.at("tid").get<pid_t>());
    }
    EXPECT_EQ(tids.size(), 7u);
    EXPECT_FALSE(tids.contains(pid));
}

TEST(Uthreads, ThreadsOfJava)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Result result = watch_program(gc_java(), {"uthreads"});
    expect_exact(result);
    for (int i = 0; i < 3; i++) {
        const auto rows = with(result.records, "description", "worker-" + to_string(i));
        ASSERT_EQ(rows.size(), 2u) << result.out;
        EXPECT_EQ(rows[0].at("type"), "start");
        EXPECT_EQ(rows[1].at("type"), "stop");
        for (const Json& r : rows) {
            EXPECT_EQ(r.at("vm_id"), rows[0].at("vm_id"));
            EXPECT_EQ(r.at("tid"), rows[0].at("tid"));
            EXPECT_NE(r.at("tid"), r.at("pid"));
        }
    }
}

TEST(Uthreads, TextAndBadInput)
{
    Child child([] { run_threads(1); });
    const pid_t pid = child.pid();
    Tracer tracer({"uthreads", "-l", "none", to_string(pid)});
    child.go_wait();
    const auto rows = lines(tracer.wait().out);
    ASSERT_EQ(rows.size(), 2u);
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]), (Words{"TIME(s)", "PID", "ID", "TYPE", "DESCRIPTION"}));
    const Words row = words(rows[1]);
    ASSERT_EQ(row.size(), 5u);
    EXPECT_EQ(row[1], to_string(pid));
    EXPECT_EQ(row[3], "pthread");
    EXPECT_EQ(row[4], "uthreads_work");
    EXPECT_EQ(run({"uthreads"}).status, 1);
    const Result python = run({"uthreads", "-l", "python"});
    EXPECT_EQ(python.status, 2);
    EXPECT_NE(python.err.find("use threadsnoop"), std::string::npos) << python.err;
}

} // namespace
