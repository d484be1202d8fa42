// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr int kEmptyPath = 0x1000; // AT_EMPTY_PATH

struct Expected {
    std::string call, path;
    int err = 0;
};

// The calls themselves, whatever libc makes of stat().
long call(long number, auto... args) { return ::syscall(number, args...) == 0 ? 0 : -errno; }

char g_memory[4096]; // struct stat, statx, statfs

long sys_stat(const std::string& path) { return call(SYS_stat, path.c_str(), g_memory); }
long sys_fstatat(int fd, const char* path, int flags = 0)
{
    return call(SYS_newfstatat, fd, path, g_memory, flags);
}

// A directory of 40 components, over 1 KB in all, made below `top`; its path.
std::string deep_directory(const std::string& top)
{
    std::string path = top;
    for (int i = 0; i < 40; i++) {
        path += "/" + std::string(28, char('a' + i % 26)) + to_string(10 + i);
        if (::mkdir(path.c_str(), 0755) != 0)
            throw std::runtime_error("mkdir " + path);
    }
    return path;
}

Result trace(std::vector<std::string> arguments, Child& child, const Environment& env = {})
{
    arguments.insert(arguments.begin(), {"statsnoop", "--json", "-p", to_string(child.pid())});
    Tracer tracer(arguments, env);
    child.go_wait();
    return tracer.wait();
}

void expect_rows(const Result& result, const std::vector<Expected>& expected)
{
    expect_exact(result);
    ASSERT_EQ(result.records.size(), expected.size()) << result.out;
    for (std::size_t i = 0; i < expected.size(); i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("syscall"), expected[i].call) << r;
        EXPECT_EQ(r.at("path"), expected[i].path) << r;
        EXPECT_EQ(r.at("err"), expected[i].err) << r;
        EXPECT_EQ(r.at("ret"), expected[i].err ? -1 : 0) << r;
    }
}

class StatsnoopRung : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, StatsnoopRung, testing::Values("", "tracepoint"), rung_name);

// Every call, each way to name a file, exact results.
TEST_P(StatsnoopRung, ShowsEveryCall)
{
    TempDir dir;
    write_file(dir / "file", "x");
    const std::string deep = deep_directory(dir.path());
    EXPECT_GT(deep.size(), 1024u);
    write_file(deep + "/leaf", "x");
    const std::string hostile = "a\nb\x1b[2J\"c";
    const int fd = ::open((dir / "file").c_str(), O_RDONLY);
    const int at = ::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY);
    const int deep_fd = ::open(deep.c_str(), O_RDONLY | O_DIRECTORY);
    int pipe_fds[2], memory = int(::syscall(SYS_memfd_create, "mem", 0));
    ASSERT_EQ(::pipe(pipe_fds), 0);
    const int socket_fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    struct stat pipe_stat, socket_stat;
    ::fstat(pipe_fds[0], &pipe_stat);
    ::fstat(socket_fd, &socket_stat);
    // A name whose NUL is the last byte before memory that is not there.
    char* page = static_cast<char*>(
        ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::munmap(page + 4096, 4096);
    const std::string file = dir / "file";
    char* at_end = page + 4096 - file.size() - 1;
    std::copy_n(file.c_str(), file.size() + 1, at_end);

    Child child([&] {
        EXPECT_EQ(::chdir(dir.path().c_str()), 0);
        EXPECT_EQ(sys_stat(dir / "file"), 0);
        EXPECT_EQ(sys_stat("file"), 0);
        EXPECT_EQ(sys_stat("missing"), -ENOENT);
        EXPECT_EQ(sys_stat(""), -ENOENT);
        EXPECT_EQ(call(SYS_lstat, "file", g_memory), 0);
        EXPECT_EQ(call(SYS_lstat, hostile.c_str(), g_memory), -ENOENT);
        EXPECT_EQ(call(SYS_fstat, fd, g_memory), 0);
        EXPECT_EQ(call(SYS_fstat, 999, g_memory), -EBADF);
        EXPECT_EQ(call(SYS_fstat, pipe_fds[0], g_memory), 0);
        EXPECT_EQ(call(SYS_fstat, socket_fd, g_memory), 0);
        EXPECT_EQ(call(SYS_fstat, memory, g_memory), 0);
        EXPECT_EQ(sys_fstatat(at, "file"), 0);
        EXPECT_EQ(sys_fstatat(at, "./file"), 0);
        EXPECT_EQ(sys_fstatat(deep_fd, "leaf"), 0);
        EXPECT_EQ(sys_fstatat(fd, "", kEmptyPath), 0);
        EXPECT_EQ(sys_fstatat(AT_FDCWD, "", kEmptyPath), 0);
        EXPECT_EQ(sys_fstatat(999, "file"), -EBADF);
        EXPECT_EQ(call(SYS_statx, at, "file", 0, STATX_ALL, g_memory), 0);
        EXPECT_EQ(call(SYS_statx, fd, "", kEmptyPath, STATX_ALL, g_memory), 0);
        EXPECT_EQ(call(SYS_statfs, "file", g_memory), 0);
        EXPECT_EQ(call(SYS_fstatfs, deep_fd, g_memory), 0);
        EXPECT_EQ(call(SYS_stat, at_end, g_memory), 0);
        EXPECT_EQ(call(SYS_stat, (deep + "/leaf").c_str(), g_memory), 0);
        EXPECT_EQ(call(SYS_stat, 8, g_memory), -EFAULT);
    });
    const pid_t pid = child.pid();
    const Result result = trace({}, child, env());
    const std::string cwd = dir.path();
    expect_rows(result, {{"stat", file},
                         {"stat", file},
                         {"stat", cwd + "/missing", ENOENT},
                         {"stat", "", ENOENT},
                         {"lstat", file},
                         {"lstat", cwd + "/" + hostile, ENOENT},
                         {"fstat", file},
                         {"fstat", "", EBADF},
                         {"fstat", "pipe:[" + to_string(pipe_stat.st_ino) + "]"},
                         {"fstat", "socket:[" + to_string(socket_stat.st_ino) + "]"},
                         {"fstat", "/memfd:mem (deleted)"},
                         {"fstatat", file},
                         {"fstatat", cwd + "/./file"},
                         {"fstatat", deep + "/leaf"},
                         {"fstatat", file},
                         {"fstatat", cwd},
                         {"fstatat", "file", EBADF},
                         {"statx", file},
                         {"statx", file},
                         {"statfs", file},
                         {"fstatfs", deep},
                         {"stat", file},
                         {"stat", deep + "/leaf"},
                         {"stat", "", EFAULT}});
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("comm"), "guest_tests");
        EXPECT_EQ(r.at("uid"), 0);
    }
    EXPECT_EQ(result.records[2].at("error"), "ENOENT");
}

TEST(Statsnoop, FailedOnlyAndFilters)
{
    TempDir dir;
    write_file(dir / "file", "x");
    for (const char* rung : {"fexit", "tracepoint"}) {
        Child child([&] {
            sys_stat(dir / "file");
            sys_stat(dir / "missing");
            sys_fstatat(999, "file");
        });
        Child other([&] { sys_stat(dir / "missing"); });
        Tracer tracer({"statsnoop", "--json", "-x", "-p", to_string(child.pid())},
                      {{"COREBOX_PROBES", rung}});
        other.go_wait();
        child.go_wait();
        const Result result = tracer.wait();
        expect_rows(result, {{"stat", dir / "missing", ENOENT}, {"fstatat", "file", EBADF}});
        EXPECT_GE(result.account.at("filtered"), 2) << rung;
    }
    // By user.
    Child child([&] {
        become_user();
        sys_stat(dir / "missing");
    });
    const pid_t pid = child.pid();
    Tracer tracer({"statsnoop", "--json", "--uid", "1000", "--duration", "20", "--count", "1"});
    child.go_wait();
    const Result result = tracer.wait();
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_EQ(result.records[0].at("pid"), pid);
    EXPECT_EQ(result.records[0].at("uid"), 1000);
}

TEST(Statsnoop, TextColumns)
{
    TempDir dir;
    Child child([&] {
        sys_stat(dir / "missing");
        sys_stat(dir / "a\nb");
    });
    const std::string pid = to_string(child.pid());
    Tracer tracer({"statsnoop", "-t", "-s", "-p", pid});
    child.go_wait();
    const Result result = tracer.wait();
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 3u) << result.out;
    using Row = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]), (Row{"TIME(s)", "PID", "COMM", "FD", "ERR", "SYSCALL", "PATH"}));
    EXPECT_EQ(words(rows[1]),
              (Row{"0.000000000", pid, "guest_tests", "-1", "2", "stat", dir / "missing"}));
    EXPECT_EQ(words(rows[2]).back(), dir / "a\\nb");
}

// A call that its thread does not survive to see return is told all the same, and nothing is wrong
// with the calls of others.
TEST(Statsnoop, FloodAndKilledProcesses)
{
    constexpr int kFlood = 3'000;
    Child child([&] {
        for (int i = 0; i < kFlood; i++)
            sys_stat("/no/such/file");
        ::kill(::getpid(), SIGKILL);
    });
    Tracer tracer({"statsnoop", "--json", "-p", to_string(child.pid())});
    child.go();
    EXPECT_EQ(child.wait(), 128 + SIGKILL);
    const Result result = tracer.wait();
    expect_exact(result);
    EXPECT_EQ(result.records.size(), std::size_t(kFlood));
}

} // namespace
