// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <csignal>
#include <set>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// A child that does `work`; its wait status.
int end(const std::function<void()>& work, pid_t* pid = nullptr)
{
    const pid_t child = ::fork();
    if (child == 0) {
        work();
        ::_exit(99);
    }
    if (pid)
        *pid = child;
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
}

[[noreturn]] void exit_thread(int code)
{
    ::syscall(SYS_exit, code);
    __builtin_unreachable();
}

void nap(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// exitsnoop --json ARGUMENTS over the children of one process that does `work`.
Result trace(const std::function<void()>& work, const std::vector<std::string>& arguments = {},
             const std::string& rung = "", pid_t* parent = nullptr)
{
    const Result result =
        watch("exitsnoop", arguments, work, {.env = forced(rung), .by = "--ppid", .pid = parent});
    expect_exact(result);
    return result;
}

TEST(Exitsnoop, CodesSignalsAgesAndUsers)
{
    TempDir dir;
    const Result result = trace([&] {
        EXPECT_EQ(end([] { ::_exit(0); }), 0);
        EXPECT_EQ(end([] { ::_exit(7); }), 7 << 8);
        EXPECT_EQ(end([] { ::_exit(255); }), 255 << 8);
        EXPECT_EQ(end([] { ::raise(SIGKILL); }), SIGKILL);
        EXPECT_EQ(end([] { ::raise(37); }), 37);
        const int status = end([&] {
            EXPECT_EQ(::chdir(dir.path().c_str()), 0);
            const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
            EXPECT_EQ(::setrlimit(RLIMIT_CORE, &all), 0);
            ::signal(SIGABRT, SIG_DFL);
            ::abort();
        });
        EXPECT_EQ(status, SIGABRT | 0x80);
        end([] {
            nap(80);
            ::prctl(PR_SET_NAME, "named\nso");
            EXPECT_EQ(::setresuid(1000, 1001, 1000), 0);
            ::_exit(1);
        });
    });
    ASSERT_EQ(result.records.size(), 7u);
    const char* const texts[] = {"0",
                                 "code 7",
                                 "code 255",
                                 "signal 9 (KILL)",
                                 "signal 37 (RTMIN+3)",
                                 "signal 6 (ABRT), core dumped",
                                 "code 1"};
    pid_t last = 0;
    for (std::size_t i = 0; i < 7; i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("exit_code"), texts[i]);
        EXPECT_EQ(r.at("core_dumped"), i == 5);
        EXPECT_EQ(r.at("process_end"), true);
        EXPECT_EQ(r.at("pid"), r.at("tid"));
        EXPECT_GT(r.at("pid"), last);
        last = r.at("pid");
        EXPECT_EQ(r.at("uid"), i == 6 ? 1000 : 0);
        EXPECT_EQ(r.at("pcomm"), i == 6 ? "named\nso" : "guest_tests");
        EXPECT_FALSE(r.contains("label"));
    }
    EXPECT_EQ(result.records[1].at("code"), 7);
    EXPECT_TRUE(result.records[1].at("signal").is_null());
    EXPECT_EQ(result.records[5].at("signal"), SIGABRT);
    EXPECT_EQ(result.records[5].at("signal_name"), "ABRT");
    EXPECT_TRUE(result.records[5].at("code").is_null());
    EXPECT_GE(result.records[6].at("age_ns"), 80'000'000);
    EXPECT_GE(result.records[6].at("age_s"), 0.08);
}

// A process ends with its last thread, whichever that is, and its status is what its parent gets.
TEST(Exitsnoop, ProcessesOfThreads)
{
    const auto work = [&](bool group) {
        return end([group] {
            ::prctl(PR_SET_NAME, "leader");
            std::thread second([group] {
                ::prctl(PR_SET_NAME, "second");
                nap(60);
                if (group)
                    ::_exit(9);
                exit_thread(6);
            });
            second.detach();
            exit_thread(5); // the leader goes first
        });
    };
    const auto all = [&] {
        EXPECT_EQ(work(true), 9 << 8);
        const int status = work(false);
        EXPECT_TRUE(status == 5 << 8 || status == 6 << 8) << status;
        write_file("/tmp/exitsnoop.status", to_string(status));
    };
    const Result result = trace(all);
    ASSERT_EQ(result.records.size(), 2u);
    const Json& first = result.records[0];
    EXPECT_EQ(first.at("exit_code"), "code 9");
    EXPECT_EQ(first.at("pcomm"), "leader");
    EXPECT_NE(first.at("tid"), first.at("pid"));
    EXPECT_GE(first.at("age_ns"), 60'000'000);
    const int status = std::stoi(read_file("/tmp/exitsnoop.status"));
    EXPECT_EQ(result.records[1].at("code"), status >> 8);

    const Result each = trace(all, {"--per-thread"});
    ASSERT_EQ(each.records.size(), 4u);
    EXPECT_EQ(count_if(each.records, [](const Json& r) { return r.at("process_end"); }), 2u);
    EXPECT_EQ(each.records[0].at("pcomm"), "leader");
    EXPECT_EQ(each.records[0].at("exit_code"), "code 5");
    EXPECT_EQ(each.records[0].at("process_end"), false);
    EXPECT_EQ(each.records[0].at("tid"), each.records[0].at("pid"));
    EXPECT_EQ(each.records[1].at("pcomm"), "second");
    EXPECT_EQ(each.records[1].at("exit_code"), "code 9");
    EXPECT_EQ(each.records[1].at("process_end"), true);
}

TEST(Exitsnoop, Options)
{
    const auto work = [] {
        end([] { ::_exit(0); });
        end([] { ::_exit(3); });
        end([] { ::_exit(0); });
    };
    const Result failed = trace(work, {"-x", "--label=some thing"});
    ASSERT_EQ(failed.records.size(), 1u);
    EXPECT_EQ(failed.records[0].at("code"), 3);
    EXPECT_EQ(failed.records[0].at("label"), "some thing");
    EXPECT_GE(failed.account.at("filtered"), 2);

    // -p: every line until the process has ended, its own too; nobody else's.
    Child other([] { end([] { ::_exit(1); }); });
    Child child([] {
        end([] { ::_exit(1); });
        std::thread([] {}).join();
        nap(30); // who joins is woken before the tracepoint
        ::_exit(4);
    });
    const std::string pid = to_string(child.pid());
    Tracer tracer({"exitsnoop", "-p", pid, "-T", "-t", "--label", "made by", "--utc"});
    other.go_wait();
    child.go();
    EXPECT_EQ(child.wait(), 4);
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 3u) << result.out;
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]),
              (Words{"TIME-UTC", "LABEL", "PCOMM", "PID", "PPID", "TID", "AGE(s)", "EXIT_CODE"}));
    for (const std::size_t i : {1u, 2u}) {
        const Words w = words(rows[i]);
        ASSERT_EQ(w.size(), i == 1 ? 8u : 9u) << rows[i];
        EXPECT_EQ(w[0].size(), std::string("12:34:56.789").size());
        EXPECT_EQ(w[0][8], '.');
        EXPECT_EQ(w[1], "made\\x20by"); // the label is the next word, as in BCC, and stays one
        EXPECT_EQ(w[3], pid);
        EXPECT_EQ(w[4], to_string(::getpid()));
        EXPECT_EQ(w[5] == pid, i == 2);
    }
    EXPECT_EQ(words(rows[1])[7], "0");
    EXPECT_TRUE(rows[2].ends_with(" code 4")) << rows[2]; // the label is wider than its column

    // A command's processes, its own end too.
    const Result command = run({"exitsnoop", "--json", "--", "sh", "-c", "sh -c 'exit 4'; exit 5"});
    expect_exact(command);
    ASSERT_EQ(command.records.size(), 2u);
    EXPECT_EQ(command.records[0].at("code"), 4);
    EXPECT_EQ(command.records[1].at("code"), 5);
    EXPECT_EQ(command.records[0].at("ppid"), command.records[1].at("pid"));
}

TEST(Exitsnoop, Rungs)
{
    for (const std::string rung : {"raw_tp", "raw_tp,perf_buffer"}) {
        pid_t parent = 0;
        const Result result = trace(
            [] {
                end([] { ::_exit(2); });
                end([] {
                    ::prctl(PR_SET_NAME, "leader");
                    std::thread([] {
                        nap(30);
                        ::_exit(9);
                    }).detach();
                    exit_thread(5);
                });
                end([] { ::raise(SIGKILL); });
            },
            {"-x"}, rung, &parent);
        ASSERT_EQ(result.records.size(), 3u) << rung;
        EXPECT_EQ(result.records[0].at("exit_code"), "code 2");
        EXPECT_EQ(result.records[1].at("exit_code"), "code 9");
        EXPECT_EQ(result.records[1].at("pcomm"), "leader");
        EXPECT_EQ(result.records[2].at("exit_code"), "signal 9 (KILL)");
        for (const Json& r : result.records)
            EXPECT_EQ(r.at("ppid"), parent);
    }
}

TEST(Exitsnoop, Flood)
{
    constexpr int kFlood = 400, kHerds = 20, kHerd = 32;
    Child child([] {
        for (int i = 0; i < kFlood; i++)
            end([] { ::_exit(1); });
        // Threads that end at the same time: two may find that none is left.
        for (int i = 0; i < kHerds; i++)
            end([] {
                for (int n = 1; n < kHerd; n++)
                    std::thread([] { exit_thread(0); }).detach();
                exit_thread(0);
            });
    });
    Tracer tracer({"exitsnoop", "--json", "--ppid", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.stop();
    expect_exact_flood(result, result.records.size(), kFlood + kHerds);
    std::set<pid_t> pids;
    for (const Json& r : result.records)
        pids.insert(r.at("pid").get<pid_t>());
    EXPECT_EQ(pids.size(), result.records.size());
}

} // namespace
