// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr int kSetuid = 7, kSysPtrace = 19, kSysAdmin = 21; // linux/capability.h

// Not inlined and not joined: their names are what the test of the stacks looks for.
[[gnu::noipa]] void ask_for_admin()
{
    EXPECT_LT(::syscall(SYS_sethostname, "no", 2), 0);
    EXPECT_EQ(errno, EPERM);
}
[[gnu::noipa]] void ask_again()
{
    ask_for_admin();
    asm volatile(""); // no jump instead of a call
}

// Without any capability: what it asks for it does not get.
void ask_in_vain()
{
    become_user();
    for (int i = 0; i < 3; i++)
        ask_for_admin();
    EXPECT_LT(::syscall(SYS_setresuid, 0, 0, 0), 0);
    // The kernel asks for this one only to decide what it shows.
    char text[512];
    const int fd = ::open("/proc/1/stat", O_RDONLY | O_CLOEXEC);
    EXPECT_GT(::read(fd, text, sizeof text), 0);
    ::close(fd);
}

Result trace(const std::vector<std::string>& arguments, const std::function<void()>& work,
             const Environment& env = {}, bool json = true)
{
    return watch("capable", arguments, work, {.env = env, .json = json});
}

TEST(Capable, TellsWhatWasAskedForOnEveryRung)
{
    struct stat user_ns, cgroup;
    ASSERT_EQ(::stat("/proc/self/ns/user", &user_ns), 0);
    ASSERT_EQ(::stat("/sys/fs/cgroup", &cgroup), 0);
    std::vector<const char*> rungs{"", "kprobe"};
    if (has_tracepoint("capability/cap_capable"))
        rungs.push_back("tp_btf");
    for (const std::string rung : rungs) {
        SCOPED_TRACE(rung);
        const bool knows_audit = rung != "tp_btf";
        Child other(ask_in_vain);
        Child child(ask_in_vain);
        const pid_t pid = child.pid();
        Tracer tracer({"capable", "-v", "-p", to_string(pid), "--json"}, forced(rung));
        other.go_wait();
        child.go_wait();
        const Result result = tracer.wait();
        EXPECT_EQ(result.status, 0) << result.err;
        expect_exact(result);
        for (const Json& row : result.records)
            EXPECT_EQ(row.at("pid"), pid);
        const Records denied = with(result.records, "verdict", "deny");
        const Records admin = with(denied, "cap", kSysAdmin);
        EXPECT_EQ(admin.size(), 3u) << result.out;
        for (const Json& row : admin) {
            EXPECT_EQ(row.at("name"), "CAP_SYS_ADMIN");
            EXPECT_EQ(row.at("uid"), 1000);
            EXPECT_EQ(row.at("tid"), pid);
            EXPECT_EQ(row.at("comm"), "guest_tests");
            EXPECT_EQ(row.at("audit"), knows_audit ? Json(1) : Json());
            EXPECT_EQ(row.at("insetid"), knows_audit ? Json(0) : Json());
            EXPECT_EQ(row.at("user_ns"), user_ns.st_ino);
            EXPECT_TRUE(row.at("kernel_stack").is_null() && row.at("user_stack").is_null());
        }
        const Records setuid = with(denied, "cap", kSetuid);
        ASSERT_EQ(setuid.size(), 1u) << result.out;
        EXPECT_EQ(setuid[0].at("insetid"), knows_audit ? Json(1) : Json());
        const Records ptrace = with(denied, "cap", kSysPtrace);
        EXPECT_GE(ptrace.size(), 1u) << result.out;
        for (const Json& row : ptrace)
            EXPECT_EQ(row.at("audit"), knows_audit ? Json(0) : Json());
        // As root, before it gave them up.
        EXPECT_GE(with(with(result.records, "verdict", "allow"), "cap", kSetuid).size(), 1u);
    }
}

TEST(Capable, SelectsWhatIsAskedFor)
{
    struct Case {
        std::vector<std::string> arguments;
        std::size_t admin, setuid, ptrace;
    };
    const Case kCases[] = {
        {{"--deny"}, 3, 1, 0},
        {{"--cap", "sys_admin,CAP_SETUID", "--deny", "-v"}, 3, 1, 0},
        {{"--cap", "7", "--deny"}, 0, 1, 0},
        {{"--deny", "--unique"}, 1, 1, 0},
        {{"--deny", "-u", "cgroup"}, 1, 1, 0},
        {{"--deny", "--uid", "1000", "--comm", "guest_tests"}, 3, 1, 0},
    };
    for (const Case& c : kCases) {
        const Result result = trace(c.arguments, ask_in_vain);
        SCOPED_TRACE(c.arguments.back() + result.out);
        expect_exact(result);
        EXPECT_EQ(with(result.records, "cap", kSysAdmin).size(), c.admin);
        EXPECT_EQ(with(result.records, "cap", kSetuid).size(), c.setuid);
        EXPECT_EQ(with(result.records, "cap", kSysPtrace).size(), c.ptrace);
        EXPECT_EQ(with(result.records, "verdict", "allow").size(), 0u);
        EXPECT_GT(result.account.at("filtered"), 0);
    }

    // Two processes: alike by cgroup, not by process.
    for (const char* by : {"pid", "cgroup"}) {
        Child other(ask_in_vain), child(ask_in_vain);
        Tracer tracer({"capable", "--json", "--deny", "-u", by, "--cap", "21", "-p",
                       to_string(other.pid()) + "," + to_string(child.pid())});
        other.go_wait();
        child.go_wait();
        EXPECT_EQ(tracer.wait().records.size(), *by == 'p' ? 2u : 1u) << by;
    }
    for (const auto& bad : {std::vector<std::string>{"capable", "--cap", "nosuch"},
                            {"capable", "--cap", "64"},
                            {"capable", "-u", "user"},
                            {"capable", "--perf-max-stack-depth", "0"}})
        EXPECT_EQ(run(bad).status, 1) << bad.back();
}

bool has_frame(const Json& stack, const std::string& name)
{
    return std::ranges::any_of(
        stack, [&](const Json& frame) { return frame.get<std::string>().starts_with(name + "+"); });
}

TEST(Capable, StacksAreOfTheCheckThatTheyStandBelow)
{
    Gate printed;
    const auto ask = [&] {
        become_user();
        ask_for_admin();
        ask_again();
        ask_for_admin();
        printed.wait();
    };
    for (const char* rung : {"", "kprobe"}) {
        SCOPED_TRACE(rung);
        Child child(ask);
        Tracer tracer({"capable", "--json", "-K", "-U", "--cap", "sys_admin", "--deny", "-p",
                       to_string(child.pid())},
                      forced(rung));
        child.go();
        EXPECT_TRUE(wait_until([&] { return lines(tracer.out()).size() == 3; })) << tracer.out();
        printed.open();
        EXPECT_EQ(child.wait(), 0);
        const Result result = tracer.wait();
        // Where the kernel preempts itself, a check of another process may find the program busy.
        if (!preempts_itself())
            expect_exact(result);
        EXPECT_EQ(result.account.at("lost"), result.account.at("lost_nested"));
        ASSERT_EQ(result.records.size(), 3u) << result.out;
        for (std::size_t i = 0; i < 3; i++) {
            const Json& row = result.records[i];
            const Json& kernel_stack = row.at("kernel_stack");
            EXPECT_GT(row.at("user_stack").size(), 1u) << row;
            // (The C library's syscall() keeps no frame, which hides who called it.)
            EXPECT_EQ(has_frame(row.at("user_stack"), "(anonymous namespace)::ask_again()"), i == 1)
                << row;
            ASSERT_GT(kernel_stack.size(), 2u) << row;
            // Its own frames are not among them.
            EXPECT_EQ(row.dump().find("bpf_"), std::string::npos) << row;
            EXPECT_TRUE(has_frame(kernel_stack, "__x64_sys_sethostname") ||
                        has_frame(kernel_stack, "__do_sys_sethostname"))
                << row;
            EXPECT_TRUE(kernel_stack.at(0).get<std::string>().starts_with("cap_capable+") ||
                        kernel_stack.at(0).get<std::string>().find("security_capable+") == 0)
                << row;
        }
    }
    // As text, and alike only with their stacks.
    Child child(ask);
    Tracer tracer({"capable", "-K", "--stack-storage-size", "1", "--perf-max-stack-depth", "8",
                   "--unique", "-x", "--deny", "--cap", "21", "-p", to_string(child.pid())});
    child.go();
    tracer.wait_for("CAP_SYS_ADMIN");
    printed.open();
    EXPECT_EQ(child.wait(), 0);
    const Result text = tracer.wait();
    const auto rows = lines(text.out);
    ASSERT_GE(rows.size(), 4u) << text.out;
    EXPECT_EQ(words(rows[0]), words("TIME UID PID TID COMM CAP NAME AUDIT VERDICT INSETID"));
    EXPECT_EQ(words(rows[1]).size(), 10u) << rows[1];
    for (std::size_t i = 2; i < rows.size(); i++)
        EXPECT_TRUE(rows[i].starts_with("        ") && rows[i].ends_with(" [kernel]")) << rows[i];
    EXPECT_LE(rows.size(), 2u + 8u);
}

TEST(Capable, FloodIsAccountedFor)
{
    constexpr int kCalls = 5'000;
    const Result result = trace({"--cap", "sys_admin", "--deny"}, [] {
        become_user();
        for (int i = 0; i < kCalls; i++)
            ::syscall(SYS_sethostname, "no", 2);
    });
    const std::uint64_t shown = result.records.size(), lost = result.account.at("lost");
    EXPECT_EQ(result.status, lost ? 3 : 0);
    EXPECT_LE(shown, std::uint64_t(kCalls)) << result.account;
    // What is lost for a full buffer is of these; where the kernel preempts itself it may
    // also skip programs for what others ask.
    if (preempts_itself())
        EXPECT_GE(shown + lost, std::uint64_t(kCalls)) << result.account;
    else
        EXPECT_EQ(shown + lost, std::uint64_t(kCalls)) << result.account;
}

} // namespace
