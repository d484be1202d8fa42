// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <cerrno>
#include <cstring>
#include <grp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

Result trace(const std::function<void()>& work, const std::vector<std::string>& arguments = {},
             const std::string& rung = "", pid_t* pid = nullptr)
{
    const Result result = watch("setuidsnoop", arguments, work, {.env = forced(rung), .pid = pid});
    expect_exact(result);
    return result;
}

// Of this thread alone, and not what the C library makes of it.
long ids(long call, long a = 0, long b = 0, long c = 0) { return ::syscall(call, a, b, c); }

struct Row {
    const char *call, *requested;
    int ret;
    const char *was, *is;
    bool failed = false;
};

constexpr Row kRows[] = {
    {"setgroups", "4,5,6", 0, "groups:N", "groups:3"},
    {"setgid", "100", 0, "0", "100"},
    {"setregid", "101,-1", 0, "100", "101,100,100,100"},
    {"setresgid", "102,103,104", 0, "101,100,100,100", "102,103,104,103"},
    {"setfsgid", "105", 103, "102,103,104,103", "102,103,104,105"},
    {"setfsuid", "7", 0, "0", "0,0,0,7"},
    {"setreuid", "-1,8", 0, "0,0,0,7", "0,8,8,8"},
    {"setreuid", "-1,0", 0, "0,8,8,8", "0,0,8,0"},
    {"setresuid", "1000,0,1001", 0, "0,0,8,0", "1000,0,1001,0"},
    {"setuid", "1002", 0, "1000,0,1001,0", "1002"},
    {"setuid", "0", -EPERM, "1002", "1002", true},
    {"setgroups", "4", -EPERM, "groups:3", "groups:3", true},
    {"setfsuid", "1", 1002, "1002", "1002", true},
    {"setgid", "102", 0, "102,103,104,105", "102,102,104,102"},
    {"setuid", "1002", 0, "1002", "1002"}, // which changes nothing
};

void change_all()
{
    const gid_t groups[] = {4, 5, 6};
    const auto list = reinterpret_cast<long>(groups);
    EXPECT_EQ(ids(SYS_setgroups, 3, list), 0);
    EXPECT_EQ(ids(SYS_setgid, 100), 0);
    EXPECT_EQ(ids(SYS_setregid, 101, -1), 0);
    EXPECT_EQ(ids(SYS_setresgid, 102, 103, 104), 0);
    EXPECT_EQ(ids(SYS_setfsgid, 105), 103);
    EXPECT_EQ(ids(SYS_setfsuid, 7), 0);
    EXPECT_EQ(ids(SYS_setreuid, -1, 8), 0);
    EXPECT_EQ(ids(SYS_setreuid, -1, 0), 0);
    EXPECT_EQ(ids(SYS_setresuid, 1000, 0, 1001), 0);
    EXPECT_EQ(ids(SYS_setuid, 1002), 0);
    EXPECT_EQ(ids(SYS_setuid, 0), -1);
    EXPECT_EQ(ids(SYS_setgroups, 1, list), -1);
    EXPECT_EQ(ids(SYS_setfsuid, 1), 1002);
    EXPECT_EQ(ids(SYS_setgid, 102), 0);
    EXPECT_EQ(ids(SYS_setuid, 1002), 0);
}

TEST(Setuidsnoop, EveryCallOnEachRung)
{
    const std::string before = "groups:" + to_string(::getgroups(0, nullptr));
    for (const std::string rung : {"", "fexit", "tracepoint,kprobe,raw_tp,perf_buffer"}) {
        if (rung == "fexit" && !has_sessions())
            continue; // without sessions it is the default
        pid_t pid = 0;
        const Result result = trace(change_all, {}, rung, &pid);
        ASSERT_EQ(result.records.size(), std::size(kRows)) << rung;
        for (std::size_t i = 0; i < std::size(kRows); i++) {
            const Json& r = result.records[i];
            const Row& e = kRows[i];
            EXPECT_EQ(r.at("call"), e.call) << i;
            EXPECT_EQ(r.at("requested"), e.requested) << i;
            EXPECT_EQ(r.at("ret"), e.ret) << i;
            EXPECT_EQ(r.at("error"), e.ret < 0 ? "EPERM" : "") << i;
            EXPECT_EQ(r.at("failed"), e.failed) << i;
            EXPECT_EQ(r.at("old"), i ? e.was : before) << i;
            EXPECT_EQ(r.at("new"), e.is) << i;
            EXPECT_EQ(r.at("pid"), pid);
            EXPECT_EQ(r.at("tid"), pid);
            EXPECT_EQ(r.at("comm"), "guest_tests");
            EXPECT_EQ(r.at("uid"), i < 9 ? 0 : i == 9 ? 1000 : 1002) << i;
        }
        const Json& r = result.records[8];
        EXPECT_EQ(r.at("old_real"), 0);
        EXPECT_EQ(r.at("old_saved"), 8);
        EXPECT_EQ(r.at("new_real"), 1000);
        EXPECT_EQ(r.at("new_effective"), 0);
        EXPECT_EQ(r.at("new_saved"), 1001);
        EXPECT_EQ(r.at("new_fs"), 0);
        EXPECT_TRUE(result.records[0].at("new_real").is_null());
        EXPECT_EQ(result.records[0].at("new_groups"), 3);
    }
}

TEST(Setuidsnoop, OnlyFailedInText)
{
    Child other(change_all), child(change_all);
    const std::string pid = to_string(child.pid());
    Tracer tracer({"setuidsnoop", "-x", "-p", pid});
    other.go_wait();
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 4u) << result.out;
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]),
              (Words{"TIME(s)", "COMM", "PID", "UID", "CALL", "REQUEST", "RET", "OLD", "NEW"}));
    EXPECT_EQ(words(rows[1]),
              (Words{"0.000", "guest_tests", pid, "1002", "setuid", "0", "-1", "1002", "1002"}));
    EXPECT_EQ(words(rows[3]).at(4), "setfsuid");
}

// A file that changes ids does so at the exec; one that does not is no event.
TEST(Setuidsnoop, SetUserIdPrograms)
{
    TempDir dir;
    const std::string plain = dir / "plain", user = dir / "user", both = dir / "both";
    const std::string program = read_file("/usr/bin/true");
    for (const std::string& path : {plain, user, both}) {
        write_file(path, program);
        EXPECT_EQ(::chown(path.c_str(), 5, 6), 0);
    }
    EXPECT_EQ(::chmod(plain.c_str(), 0755), 0);
    EXPECT_EQ(::chmod(user.c_str(), 04755), 0);
    EXPECT_EQ(::chmod(both.c_str(), 06755), 0);
    EXPECT_EQ(::chmod(dir.path().c_str(), 0755), 0);
    for (const std::string rung : {"", "kprobe,raw_tp"}) {
        Child child([&] {
            for (const std::string& path : {plain, user, both}) {
                const pid_t pid = ::fork();
                if (pid == 0) {
                    ::execl(path.c_str(), "true", nullptr);
                    ::_exit(127);
                }
                ::waitpid(pid, nullptr, 0);
            }
        });
        Tracer tracer({"setuidsnoop", "--json", "--ppid", to_string(child.pid())}, forced(rung));
        child.go_wait();
        const Result result = tracer.stop();
        expect_exact(result);
        ASSERT_EQ(result.records.size(), 3u);
        for (const Json& r : result.records) {
            EXPECT_EQ(r.at("call"), "execve");
            EXPECT_EQ(r.at("requested"), "-");
            EXPECT_EQ(r.at("old"), "0");
        }
        EXPECT_EQ(result.records[0].at("new"), "0,5,5,5");
        EXPECT_EQ(result.records[0].at("comm"), "user");
        EXPECT_EQ(result.records[1].at("new"), "0,5,5,5");
        EXPECT_EQ(result.records[2].at("new"), "0,6,6,6");
        EXPECT_EQ(result.records[2].at("comm"), "both");
    }
}

// As a 32-bit program makes it: the numbers and the registers are others.
long call_32(long number, std::uint32_t a, std::uint32_t b = 0)
{
    long result = number;
    asm volatile("int $0x80" : "+a"(result) : "b"(a), "c"(b) : "memory", "r8", "r9", "r10", "r11");
    return result;
}

TEST(Setuidsnoop, CallsOf32BitPrograms)
{
    constexpr long kSetgroups32 = 206, kSetuid32 = 213;
    void* low = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    ASSERT_NE(low, MAP_FAILED);
    const gid_t groups[] = {4, 5, 6};
    std::memcpy(low, groups, sizeof groups);
    const auto list = std::uint32_t(reinterpret_cast<std::uintptr_t>(low));
    const auto work = [&] {
        EXPECT_EQ(call_32(kSetgroups32, 3, list), 0);
        EXPECT_EQ(call_32(kSetgroups32, 3, 8), -EFAULT);
        EXPECT_EQ(call_32(kSetuid32, 1000), 0);
        EXPECT_EQ(ids(SYS_setfsuid, 1), 1000); // fails, and does not say so
        EXPECT_EQ(call_32(kSetuid32, 1000), 0);
        ::execl("/usr/bin/true", "true", nullptr); // changes no ids
    };
    for (const std::string rung : {"", "tracepoint,kprobe,raw_tp"}) {
        SCOPED_TRACE(rung);
        const Result result = trace(work, {}, rung);
        std::vector<std::string> calls;
        for (const Json& r : result.records)
            if (r.at("comm") != "true" || r.at("call") == "execve") // it makes calls of its own
                calls.push_back(
                    r.at("call").get<std::string>() + " " + r.at("requested").get<std::string>() +
                    " " + to_string(r.at("ret").get<int>()) + " " + r.at("new").get<std::string>());
        std::vector<std::string> expected{"setgroups 4,5,6 0 groups:3", "setgroups 3? -14 groups:3",
                                          "setuid 1000 0 1000", "setfsuid 1 1000 1000",
                                          "setuid 1000 0 1000"};
        if (!rung.empty()) // only those of 64-bit programs have tracepoints
            std::erase_if(expected, [](const auto& call) { return call.starts_with("setuid"); });
        EXPECT_EQ(calls, expected) << result.out;
        EXPECT_TRUE(with(result.records, "call", "setfsuid").at(0).at("failed").get<bool>());
    }
    ::munmap(low, 4096);
}

TEST(Setuidsnoop, FloodAndStrangeLists)
{
    constexpr int kFlood = 3000;
    std::vector<gid_t> many(40);
    for (std::size_t i = 0; i < many.size(); i++)
        many[i] = gid_t(i + 1);
    Child child([&] {
        const auto list = reinterpret_cast<long>(many.data());
        EXPECT_EQ(ids(SYS_setgroups, 40, list), 0);
        EXPECT_EQ(ids(SYS_setgroups, 0, 0), 0);
        EXPECT_EQ(ids(SYS_setgroups, 2, 8), -1); // no memory
        EXPECT_EQ(ids(SYS_setgroups, -3, list), -1);
        EXPECT_EQ(ids(SYS_setuid, -1), -1);
        for (int i = 0; i < kFlood; i++)
            ids(SYS_setuid, 0);
    });
    Tracer tracer({"setuidsnoop", "--json", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact_flood(result, result.records.size(), kFlood + 5);
    ASSERT_GE(result.records.size(), 5u);
    const std::string first = result.records[0].at("requested");
    EXPECT_TRUE(first.starts_with("1,2,3,")) << first;
    EXPECT_TRUE(first.ends_with(",32,...")) << first;
    EXPECT_EQ(result.records[0].at("new_groups"), 40);
    EXPECT_EQ(result.records[1].at("requested"), "-");
    EXPECT_EQ(result.records[1].at("new_groups"), 0);
    EXPECT_EQ(result.records[2].at("requested"), "2?");
    EXPECT_EQ(result.records[2].at("error"), "EFAULT");
    EXPECT_EQ(result.records[3].at("ret"), -EINVAL);
    EXPECT_EQ(result.records[4].at("requested"), "-1");
    EXPECT_EQ(result.records[4].at("error"), "EINVAL");
}

} // namespace
