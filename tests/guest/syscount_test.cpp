// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <csignal>
#include <fcntl.h>
#include <numeric>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr std::uint64_t kMs = 1'000'000;

// A system call of the 32-bit table from a 64-bit program.
long i386_call(long number)
{
    long result = number;
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return result;
}
constexpr long kI386Getpid = 20;

void on_signal(int) {}

void repeat(int times, const std::function<void()>& work)
{
    for (int i = 0; i < times; i++)
        work();
}

void getppid_raw() { ::syscall(SYS_getppid); }

// One number of all rows of a call.
std::uint64_t sum(const Records& records, const std::string& call, const std::string& key = "count")
{
    std::uint64_t n = 0;
    for (const Json& record : with(records, "syscall", call))
        n += record.at(key).is_null() ? 0 : record.at(key).get<std::uint64_t>();
    return n;
}

std::uint64_t counted(const Records& records)
{
    std::uint64_t n = 0;
    for (const Json& record : records)
        n += record.at("count").get<std::uint64_t>();
    return n;
}

// Runs syscount -p CHILD ARGUMENTS over `work`, to the child's end.
Result trace(const std::vector<std::string>& arguments, const std::function<void()>& work,
             const Environment& env = {}, bool json = true)
{
    return watch("syscount", arguments, work, {.env = env, .json = json});
}

// Ends as the C library's exit() would, without its calls.
[[noreturn]] void end_at_once() { ::syscall(SYS_exit_group, 0), ::abort(); }

void all_sorts()
{
    repeat(10'000, getppid_raw);
    repeat(7, [] { ::syscall(SYS_close, 9999); });
    repeat(2, [] { ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY); });
    // A fork returns twice and is one call.
    repeat(3, [] {
        const long pid = ::syscall(SYS_fork);
        if (pid == 0)
            end_at_once();
        ::waitpid(pid_t(pid), nullptr, 0);
    });
    repeat(5, [] { EXPECT_EQ(i386_call(kI386Getpid), ::getpid()); });
    repeat(2, [] { ::syscall(999); });
    repeat(2, [] { ::syscall(600); });
    std::signal(SIGUSR1, on_signal);
    repeat(4, [] { ::raise(SIGUSR1); });
    // The two that do not return.
    std::thread([] { ::syscall(SYS_exit, 0); }).join();
}

TEST(Syscount, CountsEachCallOnceOnEveryRung)
{
    for (const char* rung : {"", "raw_tp"}) {
        SCOPED_TRACE(rung);
        const Environment env = forced(rung);
        const Result result = trace({}, all_sorts, env);
        EXPECT_EQ(result.status, 0) << result.err;
        expect_exact(result);
        EXPECT_EQ(result.account.at("printed"), counted(result.records));
        const std::map<std::string, std::uint64_t> kExpected = {
            {"getppid", 10'000}, {"close", 7},  {"openat", 2},       {"fork", 3},
            {"i386:getpid", 5},  {"[600]", 2},  {"rt_sigreturn", 4}, {"exit", 1},
            {"exit_group", 1},   {"[other]", 2}};
        for (const auto& [call, count] : kExpected)
            EXPECT_GE(sum(result.records, call), count) << call;
        for (const char* exact : {"getppid", "fork", "i386:getpid", "[600]", "[other]",
                                  "rt_sigreturn", "exit", "exit_group"})
            EXPECT_EQ(sum(result.records, exact), kExpected.at(exact)) << exact;
        // ... nor is what sigreturn restores its own error.
        EXPECT_EQ(sum(result.records, "rt_sigreturn", "failed"), 0u);
        EXPECT_EQ(sum(result.records, "[600]", "failed"), 2u);
        EXPECT_EQ(sum(result.records, "close", "failed"), 7u);
        EXPECT_EQ(sum(result.records, "getppid", "failed"), 0u);
        const Json row = with(result.records, "syscall", "i386:getpid").at(0);
        EXPECT_EQ(row.at("nr"), kI386Getpid);
        EXPECT_EQ(row.at("abi"), "i386");
        EXPECT_TRUE(row.at("total_us").is_null() && row.at("pid").is_null()) << row;
        // The most frequent first.
        EXPECT_EQ(result.records.at(0).at("syscall"), "getppid");
        EXPECT_EQ(result.records.at(0).at("nr"), SYS_getppid);
        EXPECT_EQ(result.records.at(0).at("abi"), "native");
    }
}

TEST(Syscount, IntervalsLoseNothing)
{
    const Result result = trace({"-i", "0.02"}, [] {
        repeat(100, [] {
            repeat(100, getppid_raw);
            ::usleep(2'000);
        });
    });
    expect_exact(result);
    EXPECT_EQ(sum(result.records, "getppid"), 10'000u);
    EXPECT_GT(with(result.records, "syscall", "getppid").size(), 3u);
    EXPECT_EQ(result.account.at("printed"), counted(result.records));
}

TEST(Syscount, TimesCallsOnEveryRung)
{
    for (const char* rung : {"", "raw_tp"}) {
        SCOPED_TRACE(rung);
        const Environment env = forced(rung);
        Gate never;
        Child child([&] {
            repeat(3, [] { ::usleep(50'000); });
            repeat(7, [] { ::syscall(SYS_close, 9999); });
            repeat(2, [] {
                const long pid = ::syscall(SYS_fork);
                if (pid == 0)
                    end_at_once();
                ::waitpid(pid_t(pid), nullptr, 0);
            });
            std::signal(SIGUSR1, on_signal);
            repeat(4, [] { ::raise(SIGUSR1); });
            std::thread([] { ::syscall(SYS_exit, 0); }).join();
            ::syscall(SYS_getppid);
            never.wait();
        });
        Tracer tracer(
            {"syscount", "-L", "--unfinished", "-i", "0.1", "--json", "-p", to_string(child.pid())},
            env);
        child.go();
        tracer.wait_for("\"getppid\"");
        const auto blocked = [&] { // in the gate's wait
            const std::string state = read_file("/proc/" + to_string(child.pid()) + "/stat");
            return state[state.rfind(')') + 2] == 'S';
        };
        EXPECT_TRUE(wait_until(blocked));
        const Result result = tracer.stop();
        EXPECT_EQ(result.status, 0) << result.err;
        expect_exact(result);
        const Records& all = result.records;
        EXPECT_EQ(sum(all, "close"), 7u);
        EXPECT_EQ(sum(all, "close", "failed"), 7u);
        EXPECT_EQ(sum(all, "fork"), 2u);
        EXPECT_EQ(sum(all, "exit"), 1u);
        EXPECT_EQ(sum(all, "rt_sigreturn"), 4u);
        EXPECT_EQ(sum(all, "rt_sigreturn", "failed"), 0u);
        double us = 0;
        std::uint64_t most = 0;
        std::string sleep =
            with(all, "syscall", "nanosleep").empty() ? "clock_nanosleep" : "nanosleep";
        EXPECT_EQ(sum(all, sleep), 3u);
        for (const Json& row : with(all, "syscall", sleep)) {
            us += row.at("total_us").get<double>();
            most = std::max(most, row.at("max_ns").get<std::uint64_t>());
        }
        EXPECT_GE(us, 150'000);
        EXPECT_GE(most, 50 * kMs);
        // What it is in at the end.
        ASSERT_FALSE(all.empty());
        const std::uint64_t last = all.back().at("time_ns");
        std::uint64_t waiting = 0, since = 0;
        for (const Json& row : with(all, "time_ns", last)) {
            waiting += row.at("unfinished").get<std::uint64_t>();
            since += row.at("unfinished_ns").get<std::uint64_t>();
        }
        EXPECT_EQ(waiting, 1u) << result.out;
        EXPECT_GT(since, 0u);
        never.open();
        EXPECT_EQ(child.wait(), 0);
    }
}

TEST(Syscount, KnowsProcessesAndWhatTheyBecome)
{
    // An exec by a thread that is not the first ends the first one, whose TID it takes over.
    const auto exec_in_thread = [] {
        repeat(20, getppid_raw);
        std::thread([] { ::execl("/bin/busybox", "true", nullptr), ::abort(); }).join();
    };
    for (const auto& options :
         {std::vector<std::string>{"-P"}, std::vector<std::string>{"-P", "-L", "--per-syscall"}}) {
        Child other([] { repeat(30, getppid_raw); });
        Child child(exec_in_thread);
        const pid_t child_pid = child.pid(), other_pid = other.pid();
        std::vector<std::string> argv{"syscount", "--json", "-p",
                                      to_string(child_pid) + "," + to_string(other_pid)};
        argv.insert(argv.end(), options.begin(), options.end());
        Tracer tracer(argv);
        other.go_wait();
        child.go_wait();
        const Result result = tracer.wait();
        expect_exact(result);
        EXPECT_EQ(result.account.at("printed"), counted(result.records));
        const Records rows = with(result.records, "pid", child_pid);
        if (options.size() == 1) {
            ASSERT_EQ(result.records.size(), 2u) << result.out;
            EXPECT_EQ(rows.at(0).at("comm"), "busybox");
            EXPECT_TRUE(rows.at(0).at("syscall").is_null());
            EXPECT_GE(rows.at(0).at("count"), 22);
            EXPECT_GE(with(result.records, "pid", other_pid).at(0).at("count"), 30);
        } else {
            EXPECT_EQ(sum(rows, "getppid"), 20u);
            EXPECT_EQ(sum(rows, "execve"), 1u) << result.out;
            EXPECT_EQ(with(rows, "syscall", "execve").at(0).at("comm"), "busybox");
            EXPECT_GT(with(rows, "syscall", "execve").at(0).at("total_us").get<double>(), 0);
            EXPECT_EQ(sum(rows, "exit_group"), 1u);
            EXPECT_EQ(sum(with(result.records, "pid", other_pid), "getppid"), 30u);
        }
    }
}

TEST(Syscount, SelectsAndPrintsAsBccDoes)
{
    const auto work = [] {
        repeat(9, getppid_raw);
        repeat(7, [] { ::syscall(SYS_close, 9999); });
        repeat(2, [] { ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY); });
    };
    struct Case {
        std::vector<std::string> arguments;
        std::map<std::string, std::uint64_t> expected;
    };
    const Case kCases[] = {
        {{"-x"}, {{"close", 7}, {"openat", 2}}},
        {{"-e", "ENOENT"}, {{"openat", 2}}},
        {{"-e", "9", "-L"}, {{"close", 7}}},
        {{"--syscall", "getppid"}, {{"getppid", 9}}},
        {{"--syscall", "110", "-L"}, {{"getppid", 9}}},
        {{"--syscall", "i386:getpid"}, {}},
        {{"-T", "1", "-e", "EBADF"}, {{"close", 7}}},
        {{"-c", to_string(::getpid()), "-e", "2"}, {{"openat", 2}}},
    };
    for (const Case& c : kCases) {
        const Result result = trace(c.arguments, work);
        SCOPED_TRACE(c.arguments.at(0) + result.out);
        expect_exact(result);
        EXPECT_EQ(result.records.size(), c.expected.size());
        for (const auto& [call, count] : c.expected)
            EXPECT_EQ(sum(result.records, call), count);
        EXPECT_GT(result.account.at("filtered"), 0);
    }

    const std::string time = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]";
    const Result text = trace({"-x", "-T", "1", "-L", "-m"}, work, {}, false);
    const auto printed = lines(text.out);
    ASSERT_EQ(printed.size(), 5u) << text.out;
    EXPECT_EQ(printed[0], "Tracing failed syscalls, printing top 1... Ctrl+C to quit.");
    EXPECT_EQ(printed[1].size(), 10u) << printed[1];
    EXPECT_EQ(words(printed[2]), words("SYSCALL COUNT TIME (ms)"));
    EXPECT_EQ(words(printed[3]).size(), 3u);
    EXPECT_EQ(printed[4], "");
    const Result process = trace({"-P", "-e", "EBADF"}, work, {}, false);
    const auto rows = lines(process.out);
    ASSERT_EQ(rows.size(), 5u) << process.out;
    EXPECT_EQ(words(rows[2]), words("PID COMM COUNT"));
    EXPECT_EQ(words(rows[3]).at(2), "7");

    const Result names = run({"syscount", "-l"});
    EXPECT_EQ(names.status, 0);
    EXPECT_NE(names.out.find("\n110: getppid\n"), std::string::npos);
    EXPECT_NE(names.out.find("\n470: listns\n"), std::string::npos);
    EXPECT_NE(names.out.find("\n  3: i386:read\n"), std::string::npos);
    for (const auto& bad : {std::vector<std::string>{"syscount", "-e", "ENOSUCH"},
                            {"syscount", "-e", "0"},
                            {"syscount", "--syscall", "nosuch"},
                            {"syscount", "--per-syscall"},
                            {"syscount", "-T", "0"}})
        EXPECT_EQ(run(bad).status, 1) << bad.at(1);
}

TEST(Syscount, FloodOfSeveralTasks)
{
    constexpr int kTasks = 4, kCalls = 20'000;
    const Result result = trace({"--syscall", "getppid", "-i", "0.1"}, [] {
        std::vector<std::thread> threads;
        for (int i = 0; i < kTasks; i++)
            threads.emplace_back([] { repeat(kCalls, getppid_raw); });
        for (std::thread& thread : threads)
            thread.join();
    });
    if (result.account.at("lost") == 0) {
        EXPECT_EQ(sum(result.records, "getppid"), std::uint64_t(kTasks * kCalls));
    } else {
        EXPECT_EQ(result.status, 3);
        EXPECT_LE(sum(result.records, "getppid"), std::uint64_t(kTasks * kCalls));
        EXPECT_GE(sum(result.records, "getppid") + result.account.at("lost").get<std::uint64_t>(),
                  std::uint64_t(kTasks * kCalls));
        EXPECT_EQ(result.account.at("lost"), result.account.at("lost_nested"));
    }
}

} // namespace
