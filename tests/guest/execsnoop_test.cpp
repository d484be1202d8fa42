// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <regex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;
using Strings = std::vector<std::string>;

constexpr const char* kTrue = "/usr/bin/true";

// Returns only if it fails, with errno.
int exec(const std::string& path, const Strings& argv)
{
    std::vector<char*> pointers;
    for (const std::string& arg : argv)
        pointers.push_back(const_cast<char*>(arg.c_str()));
    pointers.push_back(nullptr);
    char* environment[] = {nullptr};
    ::execve(path.c_str(), pointers.data(), environment);
    return errno;
}

// In a process of its own, to its end.
void spawn(const std::string& path, const Strings& argv, const std::function<void()>& before = {})
{
    const pid_t pid = ::fork();
    if (pid == 0) {
        if (before)
            before();
        exec(path, argv);
        ::_exit(127);
    }
    ::waitpid(pid, nullptr, 0);
}

// execsnoop ARGUMENTS -p CHILD over `work` in one child, to the child's end.
Result trace(const Strings& arguments, const std::function<void()>& work,
             const Environment& env = {}, bool json = true)
{
    int status = 0; // of what it becomes
    return watch("execsnoop", arguments, work, {.env = env, .json = json, .work_status = &status});
}

Strings text_rows(const Strings& arguments, const std::function<void()>& work)
{
    const Result result = trace(arguments, work, {}, false);
    EXPECT_EQ(result.status, 0) << result.err;
    return lines(result.out);
}

Strings numbered(std::size_t n)
{
    Strings argv;
    for (std::size_t i = 0; i < n; i++)
        argv.push_back("argument-" + to_string(i));
    return argv;
}

// What ARGS shows: the file name in the place of argv[0].
Strings shown(const std::string& path, Strings argv)
{
    if (argv.empty())
        argv.emplace_back();
    argv[0] = path;
    return argv;
}

// --- Programs that start, on each rung.

class ExecsnoopRung : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, ExecsnoopRung, testing::Values("", "perf_buffer"), rung_name);

TEST_P(ExecsnoopRung, IsTheOneTaken)
{
    const Result result = run({"execsnoop", "--check", "--explain"}, env());
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_NE(result.err.find("  raw_tp: taken\n"), std::string::npos) << result.err;
}

// Each of `argvs` in a process of its own; the rows in that order.
Result trace_all(const std::vector<Strings>& argvs, const Environment& env, pid_t* parent = nullptr)
{
    Child child([&] {
        for (const Strings& argv : argvs)
            spawn(kTrue, argv);
    });
    const std::string pid = to_string(child.pid());
    if (parent)
        *parent = child.pid();
    Tracer tracer({"execsnoop", "--json", "-P", pid}, env);
    child.go_wait();
    Result result = tracer.stop();
    expect_exact(result);
    EXPECT_EQ(result.account["printed"], argvs.size());
    EXPECT_EQ(result.records.size(), argvs.size());
    // Perf buffers are one a CPU: their order is by time stamp only.
    std::ranges::stable_sort(result.records, {},
                             [](const Json& r) { return r.at("time_ns").get<std::uint64_t>(); });
    return result;
}

TEST_P(ExecsnoopRung, AllArguments)
{
    std::vector<Strings> argvs;
    for (const std::size_t n : {0u, 1u, 2u, 20u, 21u, 60u, 61u, 200u, 1000u})
        argvs.push_back(numbered(n));
    timespec before{};
    clock_gettime(CLOCK_REALTIME, &before);
    pid_t parent = 0;
    const Result result = trace_all(argvs, env(), &parent);
    ASSERT_EQ(result.records.size(), argvs.size());
    pid_t last = parent;
    for (std::size_t i = 0; i < argvs.size(); i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("args").get<Strings>(), shown(kTrue, argvs[i]));
        if (i) { // since v5.18 no program starts without argv[0]
            EXPECT_EQ(r.at("argv").get<Strings>(), argvs[i]);
        }
        EXPECT_EQ(r.at("filename"), kTrue);
        EXPECT_EQ(r.at("truncated"), false) << argvs[i].size();
        EXPECT_GT(r.at("pid"), last);
        last = r.at("pid");
        EXPECT_EQ(r.at("ppid"), parent);
        EXPECT_EQ(r.at("uid"), 0);
        EXPECT_EQ(r.at("ret"), 0);
        EXPECT_EQ(r.at("error"), "");
        EXPECT_EQ(r.at("comm"), "true");
        EXPECT_EQ(r.at("pcomm"), "guest_tests");
        EXPECT_LT(r.at("cpu").get<unsigned>(), cpus());
        EXPECT_GE(r.at("time_ns").get<std::uint64_t>() + 10'000'000,
                  std::uint64_t(before.tv_sec) * 1'000'000'000 + std::uint64_t(before.tv_nsec));
        EXPECT_FALSE(r.contains("cwd"));
    }
}

TEST_P(ExecsnoopRung, LongArguments)
{
    const bool ring = std::string_view(GetParam()).find("perf") == std::string_view::npos;
    const Strings fits{"true", std::string(24'000, 's'), "end"};
    const Strings big{"true", "first", std::string(100'000, 'b'), "last"};
    // More than any record takes.
    const Strings huge{"true", std::string(120'000, '1'), std::string(120'000, '2'),
                       std::string(120'000, '3')};
    const Result result = trace_all({fits, big, huge}, env());
    ASSERT_EQ(result.records.size(), 3u);
    const auto argv = [&](std::size_t i) { return result.records[i].at("argv").get<Strings>(); };
    const auto cut = [&](std::size_t i) { return result.records[i].at("truncated").get<bool>(); };
    EXPECT_TRUE(argv(0) == fits);
    EXPECT_FALSE(cut(0));
    if (ring) {
        EXPECT_TRUE(argv(1) == big);
        EXPECT_FALSE(cut(1));
    } else {
        // A perf buffer's record is at most 64 KiB: what is there is the beginning.
        EXPECT_TRUE(cut(1));
        ASSERT_EQ(argv(1).size(), 3u);
        EXPECT_EQ(argv(1)[1], "first");
        EXPECT_GT(argv(1)[2].size(), 20'000u);
        EXPECT_EQ(argv(1)[2].find_first_not_of('b'), std::string::npos);
    }
    EXPECT_TRUE(cut(2));
    EXPECT_EQ(argv(2).size(), ring ? 4u : 2u);
    EXPECT_EQ(argv(2)[0], "true");
}

TEST(Execsnoop, LongArgumentsInASmallBuffer)
{
    const Strings big{"true", std::string(100'000, 'b')};
    const Result result = trace({"--buffer-size", "64"}, [&] { exec(kTrue, big); });
    EXPECT_EQ(result.status, 0);
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_EQ(result.records[0].at("truncated"), true);
    EXPECT_GT(result.records[0].at("argv")[1].get<std::string>().size(), 20'000u);
    expect_exact(result);
}

TEST(Execsnoop, DotsOnlyWhereSomethingIsMissing)
{
    const auto last_row = [&](const Strings& arguments, std::size_t n) {
        return text_rows(arguments, [&] { exec(kTrue, numbered(n)); }).at(1);
    };
    // BCC's libbpf version prints them where the count is exactly the limit.
    EXPECT_FALSE(last_row({}, 200).ends_with("..."));
    EXPECT_FALSE(last_row({"--max-args", "20"}, 20).ends_with("..."));
    EXPECT_TRUE(last_row({"--max-args", "20"}, 20).ends_with(" argument-19"));
    EXPECT_TRUE(last_row({"--max-args", "20"}, 21).ends_with(" argument-19 ..."));
    EXPECT_TRUE(last_row({"--max-args", "1"}, 2).ends_with(" /usr/bin/true ..."));
    EXPECT_EQ(run({"execsnoop", "--max-args", "0"}).status, 1);
}

// --- What arguments may be.

TEST(Execsnoop, HostileArguments)
{
    const Strings argv{"true",
                       "line\nbreak",
                       "\x1b[2J",
                       "q\"uote",
                       "back\\slash",
                       "",
                       "a b",
                       "bad\xff"
                       "utf8",
                       "tab\t"};
    Strings rows = text_rows({}, [&] { exec(kTrue, argv); });
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_TRUE(rows[1].ends_with(
        R"( /usr/bin/true line\nbreak \x1b[2J q"uote back\\slash  a b bad\xffutf8 tab\t)"))
        << rows[1];
    rows = text_rows({"-q"}, [&] { exec(kTrue, argv); });
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_TRUE(rows[1].ends_with(
        R"( "/usr/bin/true" "line\nbreak" "\x1b[2J" "q\"uote" "back\\slash" "" "a b" "bad\xffutf8" "tab\t")"))
        << rows[1];

    const Result result = trace({}, [&] { exec(kTrue, argv); });
    ASSERT_EQ(result.records.size(), 1u); // the harness fails where a line is no JSON
    Strings replaced = argv;
    replaced[7] = "bad\ufffdutf8";
    EXPECT_EQ(result.records[0].at("argv").get<Strings>(), replaced);
    EXPECT_EQ(result.records[0].at("argv_hex")[7], "626164ff75746638");
}

TEST(Execsnoop, HostileNames)
{
    TempDir dir;
    const std::string path = dir / "x\ny\x1b[1m z";
    ASSERT_EQ(::symlink("/usr/bin/busybox", path.c_str()), 0);
    const Strings rows = text_rows({}, [&] { exec(path, {"true"}); });
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_TRUE(rows[1].starts_with(R"(x\ny\x1b[1m\x20z )")) << rows[1];
    EXPECT_TRUE(rows[1].ends_with(R"(/x\ny\x1b[1m z)")) << rows[1];
}

TEST(Execsnoop, ScriptsShowWhatWasAskedForAndWhatRuns)
{
    TempDir dir;
    const std::string script = dir / "script", nested = dir / "nested";
    write_file(script, "#!/bin/sh -u\nexit 0\n");
    write_file(nested, "#!" + script + " once\n");
    for (const std::string& path : {script, nested})
        ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
    Result result = trace({}, [&] { exec(script, {"own-name", "one", "two"}); });
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_EQ(result.records[0].at("args").get<Strings>(), (Strings{script, "one", "two"}));
    EXPECT_EQ(result.records[0].at("argv").get<Strings>(),
              (Strings{"/bin/sh", "-u", script, "one", "two"}));
    EXPECT_EQ(result.records[0].at("comm"), "script");
    result = trace({}, [&] { exec(nested, {"own-name", script}); });
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_EQ(result.records[0].at("args").get<Strings>(), (Strings{nested, script}));
}

// --- Ways to execute.

TEST(Execsnoop, ByDescriptor)
{
    char* environment[] = {nullptr};
    char name[] = "by-descriptor", arg[] = "arg";
    char* argv[] = {name, arg, nullptr};
    Result result = trace({}, [&] {
        const int fd = ::open("/usr/bin/busybox", O_RDONLY | O_CLOEXEC);
        ::dup3(fd, 77, O_CLOEXEC);
        ::fexecve(77, argv, environment);
    });
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_EQ(result.records[0].at("filename"), "/dev/fd/77");
    EXPECT_EQ(result.records[0].at("args").get<Strings>(), (Strings{"/dev/fd/77", "arg"}));
    EXPECT_EQ(result.records[0].at("argv").get<Strings>(), (Strings{"by-descriptor", "arg"}));

    for (const char* rung : {"", "fexit", "tracepoint"}) {
        if (std::string_view(rung) == "fexit" && !has_argument_type(system_call("execveat")))
            continue; // 5.10
        result = trace(
            {"-x"},
            [&] {
                ::dup3(::open("/usr/bin", O_PATH | O_CLOEXEC), 78, O_CLOEXEC);
                ::syscall(SYS_execveat, 78, "missing", argv, environment, 0);
                ::syscall(SYS_execveat, 79, "", argv, environment, AT_EMPTY_PATH);
                ::syscall(SYS_execveat, 78, "/missing", argv, environment, 0);
                ::syscall(SYS_execveat, 78, "true", argv, environment, 0);
            },
            forced(rung));
        expect_exact(result);
        ASSERT_EQ(result.records.size(), 4u) << rung << result.out;
        const auto expect = [&](std::size_t i, const char* filename, int error) {
            EXPECT_EQ(result.records[i].at("filename"), filename);
            EXPECT_EQ(result.records[i].at("ret"), -error);
            EXPECT_EQ(result.records[i].at("args").get<Strings>(), (Strings{filename, "arg"}));
        };
        expect(0, "/dev/fd/78/missing", ENOENT);
        expect(1, "/dev/fd/79", EBADF);
        expect(2, "/missing", ENOENT);
        expect(3, "/dev/fd/78/true", 0);
    }
}

// The thread takes the leader's id. libbpf's version waits for a return under the old id, and is
// blind to the next exec of this thread.
TEST(Execsnoop, ByAThreadThatIsNotTheLeader)
{
    for (const char* rung : {"", "tracepoint"}) {
        const Result result = trace(
            {"-x"},
            [] {
                std::thread([] {
                    exec("/no/such/file", {"failed"});
                    exec("/usr/bin/sh", {"sh", "-c", "exec /usr/bin/true from-thread"});
                }).join();
            },
            forced(rung));
        expect_exact(result);
        ASSERT_EQ(result.records.size(), 3u) << rung << result.out;
        EXPECT_EQ(result.records[0].at("error"), "ENOENT");
        EXPECT_EQ(result.records[1].at("comm"), "sh");
        EXPECT_EQ(result.records[2].at("args").get<Strings>(), (Strings{kTrue, "from-thread"}));
        for (const Json& r : result.records)
            EXPECT_EQ(r.at("pid"), result.records[0].at("pid"));
    }
}

// --- Execs that fail.

class ExecsnoopFailure : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, ExecsnoopFailure,
                         testing::Values("", "tracepoint", "tracepoint,perf_buffer"), rung_name);

TEST(Execsnoop, FailuresAreSeenAtTheFunctionsExit)
{
    const Result result = run({"execsnoop", "-x", "--check", "--explain"});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_NE(result.err.find("failed execve calls:\n  fexit: taken"), std::string::npos)
        << result.err;
    EXPECT_NE(result.err.find(has_argument_type(system_call("execveat"))
                                  ? "failed execveat calls:\n  fexit: taken"
                                  : "  tracepoint: taken"),
              std::string::npos)
        << result.err;
}

TEST_P(ExecsnoopFailure, Errors)
{
    TempDir dir;
    write_file(dir / "no-mode", "#!/bin/sh\n");
    write_file(dir / "no-format", "neither ELF nor script");
    write_file(dir / "no-interpreter", "#!/no/such/interpreter\n");
    for (const char* name : {"no-format", "no-interpreter"})
        ASSERT_EQ(::chmod((dir / name).c_str(), 0755), 0);
    struct Attempt {
        std::string path;
        Strings argv;
        int error;
    };
    std::vector<Attempt> attempts{
        {"/no/such/file", {"own-name", "a", "b c"}, ENOENT},
        {dir / "no-mode", {"own-name"}, EACCES},
        {dir.path(), {"own-name", "x"}, EACCES},
        {dir / "no-format", {"own-name", "1", "2", "3"}, ENOEXEC},
        {dir / "no-interpreter", {"own-name"}, ENOENT},
        {std::string(kTrue) + "/below", {"own-name"}, ENOTDIR},
        {"", {"own-name"}, ENOENT},
        {"/no/such/file", numbered(60), ENOENT},
        {"/no/such/file", numbered(512), ENOENT},
        {"/no/such/file", {"own-name", std::string(12'000, 'l'), "end"}, ENOENT},
        {kTrue, {"own-name", std::string(200'000, 'E')}, E2BIG},
    };
    Child child([&] {
        for (const Attempt& a : attempts)
            EXPECT_EQ(exec(a.path, a.argv), a.error) << a.path;
        exec(kTrue, {"true", "at last"});
    });
    const pid_t pid = child.pid();
    Tracer tracer({"execsnoop", "--json", "--fails", "-p", to_string(pid)}, env());
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    ASSERT_EQ(result.records.size(), attempts.size() + 1);
    for (std::size_t i = 0; i < attempts.size(); i++) {
        const Attempt& a = attempts[i];
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("filename"), a.path);
        EXPECT_EQ(r.at("ret"), -a.error);
        EXPECT_EQ(r.at("error"), strerrorname_np(a.error));
        EXPECT_EQ(r.at("comm"), "guest_tests");
        EXPECT_EQ(r.at("pid"), pid);
        const bool too_big = a.error == E2BIG;
        EXPECT_EQ(r.at("truncated"), too_big) << i;
        if (!too_big) {
            EXPECT_EQ(r.at("args").get<Strings>(), shown(a.path, a.argv));
        }
    }
    const Json& e2big = result.records[attempts.size() - 1];
    ASSERT_EQ(e2big.at("args").size(), 2u);
    EXPECT_GT(e2big.at("args")[1].get<std::string>().size(), 10'000u);
    EXPECT_EQ(result.records.back().at("ret"), 0);
    EXPECT_EQ(result.records.back().at("args").get<Strings>(), (Strings{kTrue, "at last"}));
}

TEST(Execsnoop, FailuresOnlyWhenAskedFor)
{
    const Result result = trace({}, [] {
        exec("/no/such/file", {"failed"});
        exec(kTrue, {"true"});
    });
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_EQ(result.records[0].at("ret"), 0);
}

TEST_P(ExecsnoopFailure, ArgumentsThatCannotBeRead)
{
    const Result result = trace(
        {"-x"},
        [] {
            char good[] = "good";
            char* bad[] = {good, reinterpret_cast<char*>(8), nullptr};
            char* environment[] = {nullptr};
            ::execve("/no/such/file", bad, environment);
            ::execve(reinterpret_cast<char*>(8), bad, environment);
            exec(kTrue, {"true"});
        },
        env());
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 3u);
    EXPECT_EQ(result.records[0].at("argv").get<Strings>(), Strings{"good"});
    EXPECT_EQ(result.records[0].at("truncated"), true);
    EXPECT_EQ(result.records[1].at("error"), "EFAULT");
    EXPECT_EQ(result.records[1].at("filename"), "");
}

// --- Filters.

TEST(Execsnoop, ParentAndUser)
{
    Child family([] {
        spawn(kTrue, {"true", "of-root"});
        spawn(kTrue, {"true", "of-user"}, [] { become_user(); });
    });
    Child others([] { spawn(kTrue, {"true", "of-others"}); });
    const std::string parent = to_string(family.pid());
    const auto args = [](const Result& result) {
        Strings found;
        for (const Json& r : result.records)
            found.push_back(r.at("args").at(1));
        return found;
    };
    Tracer both({"execsnoop", "--json", "-P", parent});
    Tracer root({"execsnoop", "--json", "--ppid", parent, "-u", "0"});
    Tracer root_by_name({"execsnoop", "--json", "-P", parent, "--uid", "root"});
    Tracer user({"execsnoop", "--json", "-u", "1000"});
    Tracer user_by_name({"execsnoop", "--json", "-u", "user"});
    others.go_wait();
    family.go_wait();
    EXPECT_EQ(args(both.stop()), (Strings{"of-root", "of-user"}));
    EXPECT_EQ(args(root.stop()), Strings{"of-root"});
    EXPECT_EQ(args(root_by_name.stop()), Strings{"of-root"});
    const Result result = user.stop();
    EXPECT_EQ(args(result), Strings{"of-user"});
    EXPECT_EQ(result.records.at(0).at("uid"), 1000);
    EXPECT_GE(result.account.at("filtered").get<int>(), 2);
    expect_exact(result);
    EXPECT_EQ(args(user_by_name.stop()), Strings{"of-user"});
    EXPECT_EQ(run({"execsnoop", "-u", "no-such-user"}).status, 1);
}

TEST(Execsnoop, NamesAndArguments)
{
    const auto work = [] {
        spawn("/usr/bin/true", {"true", "needle in", "hay"});
        spawn("/usr/bin/false", {"false", "hay"});
        spawn("/usr/bin/expr", {"expr", "true"});
    };
    const auto comms = [&](const Strings& arguments) {
        Child child(work);
        Strings argv{"execsnoop", "--json", "-P", to_string(child.pid())};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        Tracer tracer(argv);
        child.go_wait();
        const Result result = tracer.stop();
        expect_exact(result);
        EXPECT_EQ(result.account.at("filtered").get<std::size_t>() >= 3 - result.records.size(),
                  true);
        Strings found;
        for (const Json& r : result.records)
            found.push_back(r.at("comm"));
        return found;
    };
    EXPECT_EQ(comms({"-n", "^(true|expr)$"}), (Strings{"true", "expr"}));
    EXPECT_EQ(comms({"--name", "als"}), Strings{"false"});
    // On the arguments, not on the name; joined by blanks.
    EXPECT_EQ(comms({"-l", "needle in hay$"}), Strings{"true"});
    EXPECT_EQ(comms({"--line", "true"}), (Strings{"true", "expr"}));
    EXPECT_EQ(comms({"-l", "^/usr/bin/f"}), Strings{"false"});
    EXPECT_EQ(comms({"-n", "true", "-l", "nothing"}), Strings{});
    EXPECT_EQ(run({"execsnoop", "-n", "("}).status, 1);
}

TEST(Execsnoop, CgroupAndAllBelowIt)
{
    Cgroup traced("traced"), below("traced/below"), beside("beside");
    const auto in = [](const Cgroup& cgroup, const char* name) {
        return [&cgroup, name] {
            cgroup.enter();
            spawn(kTrue, {"true", name});
        };
    };
    Child a(in(traced, "traced")), b(in(below, "below")), c(in(beside, "beside"));
    Tracer tracer({"execsnoop", "--json", "-c", traced.path()});
    for (Child* child : {&a, &b, &c})
        child->go_wait();
    const Result result = tracer.stop();
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 2u);
    EXPECT_EQ(result.records[0].at("args").at(1), "traced");
    EXPECT_EQ(result.records[1].at("args").at(1), "below");
}

TEST(Execsnoop, CommandAndItsTree)
{
    Child others([] {
        for (int i = 0; i < 20; i++)
            spawn(kTrue, {"true", "of-others"});
    });
    Tracer tracer({"execsnoop", "--json", "--", "/usr/bin/sh", "-c",
                   "/usr/bin/true 1; (/usr/bin/sh -c '/usr/bin/true 2; /usr/bin/true 3'); exit 0"});
    others.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    Strings trues;
    for (const Json& r : with(result.records, "comm", "true"))
        trues.push_back(r.at("args").at(1));
    EXPECT_EQ(trues, (Strings{"1", "2", "3"}));
    ASSERT_FALSE(result.records.empty());
    EXPECT_EQ(result.records[0].at("args").at(0), "/usr/bin/sh"); // the command itself
    expect_exact(result);
}

TEST(Execsnoop, ManyAreAllThere)
{
    constexpr int kMany = 211;
    Child child([] {
        for (int i = 0; i < kMany; i++)
            spawn(kTrue, {"true", to_string(i)});
    });
    Tracer tracer({"execsnoop", "--json", "-P", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.stop();
    expect_exact(result);
    ASSERT_EQ(result.records.size(), std::size_t(kMany));
    for (int i = 0; i < kMany; i++)
        EXPECT_EQ(result.records[std::size_t(i)].at("args").at(1), to_string(i));
}

// --- Columns.

TEST(Execsnoop, TextColumns)
{
    const auto work = [] { exec(kTrue, {"true", "x"}); };
    Strings rows = text_rows({}, work);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(words(rows[0]), (Strings{"COMM", "PID", "PPID", "RET", "ARGS"}));
    const Strings plain = words(rows[1]);
    ASSERT_EQ(plain.size(), 6u);
    EXPECT_EQ(plain[0], "true");
    EXPECT_EQ(plain[2], to_string(::getpid()));
    EXPECT_EQ(plain[3], "0");
    EXPECT_EQ(plain[4], kTrue);
    EXPECT_EQ(plain[5], "x");
    // Heads stand over what they head, with every column too.
    EXPECT_EQ(rows[0].find("ARGS"), rows[1].find("/usr/bin/true"));

    TempDir dir;
    rows = text_rows({"-T", "-t", "-U", "-M", "-C", "--cwd"}, [&] {
        EXPECT_EQ(::chdir(dir.path().c_str()), 0);
        work();
    });
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(words(rows[0]), (Strings{"TIME", "TIME(s)", "UID", "COMM", "PID", "PCOMM", "PPID",
                                       "CPU", "RET", "CWD", "ARGS"}));
    const Strings all = words(rows[1]);
    ASSERT_EQ(all.size(), 12u);
    EXPECT_TRUE(std::regex_match(all[0], std::regex("[0-9]{2}:[0-9]{2}:[0-9]{2}"))) << all[0];
    EXPECT_EQ(all[1], "0.000");
    EXPECT_EQ(all[2], "0");
    EXPECT_EQ(all[5], "guest_tests");
    EXPECT_EQ(all[9], dir.path());
    EXPECT_EQ(rows[0].find("ARGS"), rows[1].find("/usr/bin/true"));
}

TEST(Execsnoop, WorkingDirectory)
{
    TempDir dir;
    const std::string deep = dir / "a b/c";
    ASSERT_EQ(::mkdir((dir / "a b").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(deep.c_str(), 0755), 0);
    for (const std::string& at : {deep, std::string("/")}) {
        const Result result = trace({"--cwd", "-x"}, [&] {
            EXPECT_EQ(::chdir(at.c_str()), 0);
            exec("missing", {"x", "y"});
            exec(kTrue, {"true", "z"});
        });
        ASSERT_EQ(result.records.size(), 2u);
        EXPECT_EQ(result.records[0].at("cwd"), at);
        EXPECT_EQ(result.records[0].at("args").get<Strings>(), (Strings{"missing", "y"}));
        EXPECT_EQ(result.records[1].at("cwd"), at);
        EXPECT_EQ(result.records[1].at("args").get<Strings>(), (Strings{kTrue, "z"}));
    }
}

} // namespace
