// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <cerrno>
#include <csignal>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// A process called "target" that ignores SIGUSR1, has SIGUSR2 blocked and waits to be killed.
class Target
{
public:
    Target()
    {
        int ready[2];
        EXPECT_EQ(::pipe(ready), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_NAME, "target");
            ::setpgid(0, 0);
            ::signal(SIGUSR1, SIG_IGN);
            sigset_t set;
            ::sigemptyset(&set);
            ::sigaddset(&set, SIGUSR2);
            ::sigaddset(&set, SIGRTMIN + 3);
            ::sigprocmask(SIG_BLOCK, &set, nullptr);
            EXPECT_EQ(::write(ready[1], "", 1), 1);
            for (;;)
                ::pause();
        }
        char byte;
        EXPECT_EQ(::read(ready[0], &byte, 1), 1);
        ::close(ready[0]);
        ::close(ready[1]);
    }
    ~Target()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;
    pid_t pid() const { return pid_; }

private:
    pid_t pid_;
};

long queue(long call, pid_t pid, int signal, pid_t tid = 0)
{
    siginfo_t info{};
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    return call == SYS_rt_sigqueueinfo ? ::syscall(call, pid, signal, &info)
                                       : ::syscall(call, pid, tid, signal, &info);
}

// TOOL --json -p CHILD ARGUMENTS over `work` in one child.
Result trace(const std::string& tool, const std::function<void()>& work,
             const std::vector<std::string>& arguments = {}, const std::string& rung = "",
             pid_t* sender = nullptr)
{
    const Result result = watch(tool, arguments, work, {.env = forced(rung), .pid = sender});
    expect_exact(result);
    return result;
}

// The end of every test's child is a signal too.
Records without_end(Result result)
{
    std::erase_if(result.records, [](const Json& r) { return r.at("sig") == SIGCHLD; });
    return result.records;
}

TEST(Sigsnoop, OutcomesCodesAndTargets)
{
    const Target target;
    const pid_t pid = target.pid();
    const auto work = [&] {
        ::kill(pid, SIGUSR1);                          // ignored
        ::kill(pid, SIGUSR2);                          // delivered: queued, being blocked
        ::kill(pid, SIGUSR2);                          // pending already
        queue(SYS_rt_sigqueueinfo, pid, SIGRTMIN + 3); // delivered
        ::syscall(SYS_tgkill, pid, pid, SIGWINCH);     // ignored by default, to a thread
        ::kill(pid, 0);                                // no signal
        EXPECT_EQ(::kill(1 << 22, SIGTERM), -1);       // none either
        ::signal(SIGSEGV, [](int) { ::_exit(0); });    // the kernel's own
        *const_cast<volatile int*>(static_cast<int*>(nullptr)) = 1;
    };
    for (const std::string rung : {"", "raw_tp", "raw_tp,perf_buffer"}) {
        pid_t sender = 0;
        const Records rows = without_end(trace("sigsnoop", work, {}, rung, &sender));
        // Whatever was pending for the target still is.
        const bool fresh = rung.empty();
        ASSERT_EQ(rows.size(), 6u) << rung;
        struct Row {
            int sig;
            const char *name, *outcome, *code;
            bool group;
        };
        const Row expected[] = {
            {SIGUSR1, "SIGUSR1", "ignored", "SI_USER", true},
            {SIGUSR2, "SIGUSR2", fresh ? "delivered" : "pending", "SI_USER", true},
            {SIGUSR2, "SIGUSR2", "pending", "SI_USER", true},
            {SIGRTMIN + 3, "SIGRTMIN+3", "delivered", "SI_QUEUE", true},
            {SIGWINCH, "SIGWINCH", "ignored", "SI_TKILL", false},
            {SIGSEGV, "SIGSEGV", "delivered", "SEGV_MAPERR", false},
        };
        for (std::size_t i = 0; i < rows.size(); i++) {
            const Json& r = rows[i];
            const Row& e = expected[i];
            EXPECT_EQ(r.at("sig"), e.sig);
            EXPECT_EQ(r.at("signal"), e.name);
            EXPECT_EQ(r.at("outcome"), e.outcome) << e.name;
            EXPECT_EQ(r.at("code"), e.code) << e.name;
            EXPECT_EQ(r.at("group"), e.group) << e.name;
            EXPECT_EQ(r.at("pid"), sender);
            EXPECT_EQ(r.at("comm"), "guest_tests");
            EXPECT_EQ(r.at("tpid"), i == 5 ? sender : pid);
            EXPECT_EQ(r.at("target_pid"), r.at("tpid"));
            EXPECT_EQ(r.at("tcomm"), i == 5 ? "guest_tests" : "target");
            EXPECT_TRUE(r.at("ret").is_null());
        }
    }
}

TEST(Sigsnoop, Filters)
{
    const Target target, other;
    const auto work = [&] {
        ::kill(target.pid(), SIGUSR1);
        ::kill(other.pid(), SIGUSR1);
        ::kill(target.pid(), SIGWINCH);
        ::kill(target.pid(), SIGUSR2);
        queue(SYS_rt_sigqueueinfo, target.pid(), SIGRTMIN + 3);
    };
    const auto signals = [&](std::vector<std::string> arguments) {
        std::vector<int> found;
        for (const Json& r : trace("sigsnoop", work, std::move(arguments)).records)
            found.push_back(r.at("sig"));
        return found;
    };
    using Signals = std::vector<int>;
    EXPECT_EQ(signals({"-s", "SIGUSR1,28", "-T", to_string(target.pid())}),
              (Signals{SIGUSR1, SIGWINCH}));
    EXPECT_EQ(signals({"--signal", "rtmin+3"}), (Signals{SIGRTMIN + 3}));
    EXPECT_EQ(signals({"-x", "-s", "USR1", "-s", "USR2"}),
              (Signals{SIGUSR1, SIGUSR1, SIGUSR2})); // by now it is pending
    EXPECT_EQ(signals({"-s", "37", "--count", "1"}), (Signals{SIGRTMIN + 3}));

    // Text as libbpf-tools prints it.
    for (const bool names : {false, true}) {
        Child child([&] { ::kill(target.pid(), SIGUSR1); });
        const std::string pid = to_string(child.pid());
        std::vector<std::string> argv{"sigsnoop", "-s", "USR1", "-p", pid};
        if (names)
            argv.push_back("-n");
        Tracer tracer(argv);
        child.go_wait();
        const auto rows = lines(tracer.wait().out);
        ASSERT_EQ(rows.size(), 2u);
        using Words = std::vector<std::string>;
        EXPECT_EQ(words(rows[0]), (Words{"TIME", "PID", "COMM", names ? "SIGNAL" : "SIG", "TPID",
                                         "TCOMM", "RESULT", "CODE"}));
        Words row = words(rows[1]);
        row.erase(row.begin());
        EXPECT_EQ(row, (Words{pid, "guest_tests", names ? "SIGUSR1" : "10", to_string(target.pid()),
                              "target", "ignored", "SI_USER"}));
    }
    for (const char* bad : {"65", "-1", "NONSENSE", "RTMIN+99", "TERM,,", ""})
        EXPECT_EQ(run({"sigsnoop", "-s", bad}).status, 1) << bad;
}

struct Call {
    const char* call;
    int sig;
    long target;
    long ret;
    const char* tcomm; // null: none
};

TEST(Killsnoop, CallsAndTheirResults)
{
    const Target target;
    const pid_t pid = target.pid();
    const auto work = [&] {
        const int fd = int(::syscall(SYS_pidfd_open, pid, 0));
        ::kill(pid, SIGUSR1);
        ::kill(-pid, SIGWINCH);
        ::kill(pid, 0);
        EXPECT_EQ(::kill(1 << 22, SIGTERM), -1);
        ::syscall(SYS_tkill, pid, SIGUSR1);
        ::syscall(SYS_tgkill, pid, pid, SIGUSR1);
        EXPECT_EQ(::syscall(SYS_tgkill, 1, pid, SIGUSR1), -1);
        queue(SYS_rt_sigqueueinfo, pid, SIGUSR1);
        queue(SYS_rt_tgsigqueueinfo, pid, SIGUSR1, pid);
        ::syscall(SYS_pidfd_send_signal, fd, SIGUSR1, nullptr, 0);
        ::syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0);
        EXPECT_EQ(::syscall(SYS_pidfd_send_signal, 999, SIGUSR1, nullptr, 0), -1);
        EXPECT_EQ(::setresuid(1000, 1000, 1000), 0);
        EXPECT_EQ(::kill(pid, SIGKILL), -1);
        ::raise(SIGWINCH); // glibc's own tgkill
    };
    for (const std::string rung : {"", "tracepoint,raw_tp,perf_buffer"}) {
        pid_t sender = 0;
        const Records rows = trace("killsnoop", work, {}, rung, &sender).records;
        const Call expected[] = {
            {"kill", SIGUSR1, pid, 0, "target"},
            {"kill", SIGWINCH, -pid, 0, "target"},
            {"kill", 0, pid, 0, nullptr},
            {"kill", SIGTERM, 1 << 22, -ESRCH, nullptr},
            {"tkill", SIGUSR1, pid, 0, "target"},
            {"tgkill", SIGUSR1, pid, 0, "target"},
            {"tgkill", SIGUSR1, pid, -ESRCH, nullptr},
            {"rt_sigqueueinfo", SIGUSR1, pid, 0, "target"},
            {"rt_tgsigqueueinfo", SIGUSR1, pid, 0, "target"},
            {"pidfd_send_signal", SIGUSR1, pid, 0, "target"},
            {"pidfd_send_signal", 0, pid, 0, nullptr},
            {"pidfd_send_signal", SIGUSR1, 0, -EBADF, nullptr},
            {"kill", SIGKILL, pid, -EPERM, nullptr},
            {"tgkill", SIGWINCH, sender, 0, "guest_tests"},
        };
        ASSERT_EQ(rows.size(), std::size(expected)) << rung;
        for (std::size_t i = 0; i < rows.size(); i++) {
            const Json& r = rows[i];
            const Call& e = expected[i];
            EXPECT_EQ(r.at("call"), e.call) << i;
            EXPECT_EQ(r.at("sig"), e.sig) << i;
            EXPECT_EQ(r.at("tpid"), e.target ? Json(e.target) : Json()) << i;
            EXPECT_EQ(r.at("ret"), e.ret) << i;
            EXPECT_EQ(r.at("tcomm"), e.tcomm ? Json(e.tcomm) : Json()) << i;
            EXPECT_EQ(r.at("targets"), e.tcomm ? 1 : 0) << i;
            EXPECT_EQ(r.at("uid"), i < 12 ? 0 : 1000) << i;
            EXPECT_TRUE(r.at("outcome").is_null());
        }
        EXPECT_EQ(rows[12].at("error"), "EPERM");
    }
}

TEST(Killsnoop, FailedGroupsAndText)
{
    // A process group of three: one call, three signals.
    const Target leader, second, third;
    const pid_t group = leader.pid();
    EXPECT_EQ(::setpgid(second.pid(), group), 0);
    EXPECT_EQ(::setpgid(third.pid(), group), 0);
    const auto work = [&] {
        ::kill(-group, SIGUSR1);
        EXPECT_EQ(::kill(1 << 22, SIGUSR1), -1);
        EXPECT_EQ(::kill(group, 65), -1);
    };
    const Records all = trace("killsnoop", work).records;
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].at("targets"), 3);
    EXPECT_EQ(all[2].at("error"), "EINVAL");
    EXPECT_TRUE(all[2].at("signal").is_null());
    const Result failed = trace("killsnoop", work, {"-x", "-s", "10"});
    ASSERT_EQ(failed.records.size(), 1u);
    EXPECT_EQ(failed.records[0].at("ret"), -ESRCH);
    const Result to = trace("sigsnoop", work, {"-k", "-T", to_string(group)});
    EXPECT_EQ(to.records.size(), 1u);

    Child child([&] { EXPECT_EQ(::kill(1 << 22, SIGTERM), -1); });
    const std::string pid = to_string(child.pid());
    Tracer tracer({"killsnoop", "-p", pid});
    child.go_wait();
    const auto rows = lines(tracer.wait().out);
    ASSERT_EQ(rows.size(), 2u);
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]),
              (Words{"TIME", "PID", "COMM", "SIG", "TPID", "RESULT", "TCOMM", "CALL"}));
    Words row = words(rows[1]);
    row.erase(row.begin());
    EXPECT_EQ(row, (Words{pid, "guest_tests", "15", to_string(1 << 22), "-3", "N/A", "kill"}));
}

TEST(Sigsnoop, Flood)
{
    constexpr int kFlood = 2000;
    const Target target;
    for (const char* tool : {"sigsnoop", "killsnoop"}) {
        Child child([&] {
            for (int i = 0; i < kFlood; i++)
                ::kill(target.pid(), SIGUSR1);
        });
        Tracer tracer({tool, "--json", "-s", "USR1", "-p", to_string(child.pid())});
        child.go_wait();
        const Result result = tracer.wait();
        expect_exact_flood(result, result.records.size(), kFlood);
    }
}

} // namespace
