// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What every tool does alike because the kit does it: how runs begin and end, what is said where,
// who is traced, and what happens where something is missing. What all tools must do is asked of
// all, the rest of opensnoop.
#include "harness.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/capability.h>
#include <memory>
#include <poll.h>
#include <sched.h>
#include <set>
#include <stdexcept>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

void open_missing(const std::string& path)
{
    EXPECT_EQ(::syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY), -1);
}

// A process that opens a missing file every 10 ms, until it is killed.
std::function<void()> opening(const std::string& path = "/no/such/file")
{
    return [path] {
        for (;;) {
            open_missing(path);
            ::usleep(10'000);
        }
    };
}

// Standard output of the program to come.
BeforeExec to_file(const char* path)
{
    return [path] { ::dup2(::open(path, O_WRONLY), 1); };
}

void expect_one_line(const Result& result, int status, const std::string& part)
{
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_EQ(lines(result.err).size(), 1u) << result.err;
    EXPECT_TRUE(result.err.ends_with('\n')) << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
    EXPECT_EQ(result.out, "");
}

// What a tool said from "opensnoop: tracing; Ctrl-C ends" on. Before, it may say what it observes.
std::vector<std::string> said_from_start(const Result& result)
{
    auto said = lines(result.err);
    const auto start = std::ranges::find_if(
        said, [](const std::string& line) { return line.ends_with(": tracing; Ctrl-C ends"); });
    if (start != said.end())
        said.erase(said.begin(), start);
    return said;
}

// "opensnoop: tracing; Ctrl-C ends" and nothing else.
void expect_quiet(const Result& result)
{
    const auto said = said_from_start(result);
    ASSERT_EQ(said.size(), 1u) << result.err;
    EXPECT_TRUE(said[0].ends_with(": tracing; Ctrl-C ends")) << said[0];
}

// --- Every tool.

// Asked once: each start takes its time.
const std::vector<std::string>& tool_names()
{
    static const auto all = [] {
        std::vector<std::string> names;
        for (const std::string& line : lines(run({"names"}).out))
            if (const auto both = words(line); both.at(0) == both.at(1)) // else another name of it
                names.push_back(both[0]);
        return names;
    }();
    return all;
}

// A tool with what it cannot do without, as it says itself, and ARGUMENTS.
std::vector<std::string> with_needed(const std::string& tool, std::vector<std::string> arguments)
{
    static std::map<std::string, std::vector<std::string>> known;
    const auto [needed, asked] = known.try_emplace(tool);
    if (asked)
        for (const Json& argument :
             Json::parse(run({tool, "--schema"}).out).value("smoke", Json::array()))
            needed->second.push_back(argument.get<std::string>());
    arguments.insert(arguments.begin(), needed->second.begin(), needed->second.end());
    arguments.insert(arguments.begin(), tool);
    return arguments;
}

class EveryTool : public testing::TestWithParam<std::string>
{
};

INSTANTIATE_TEST_SUITE_P(Tools, EveryTool, testing::ValuesIn(tool_names()), [](const auto& info) {
    std::string name = info.param;
    std::ranges::replace(name, '-', '_');
    return name;
});

// What `corebox doctor` says of each tool, or of one.
std::map<std::string, Json> doctor(const BeforeExec& before = {}, const std::string& tool = {})
{
    std::vector<std::string> argv{"doctor", "--json"};
    if (!tool.empty())
        argv.push_back(tool);
    const Result result = run(argv, {}, before);
    EXPECT_EQ(result.err, "");
    std::map<std::string, Json> said;
    for (const Json& row : result.records)
        said[row.at("tool")] = row;
    return said;
}

// Of every tool, to who may all; asked once.
const std::map<std::string, Json>& said_of_all()
{
    static const auto said = doctor();
    return said;
}

bool cannot_run(const Json& said) { return said.at("status") == "unavailable"; }

// That a tool starts if doctor says so, and else that it ends with status 2.
void expect_as_said(const std::string& tool, const Json& said, const BeforeExec& before = {})
{
    const Result result = run(with_needed(tool, {"--check"}), {}, before);
    if (said.at("status") == "unknown") {
        EXPECT_TRUE(result.status == 0 || result.status == 2) << tool << "\n" << result.err;
        return;
    }
    EXPECT_EQ(result.status, cannot_run(said) ? 2 : 0) << tool << "\n"
                                                       << said << "\n"
                                                       << result.err;
    EXPECT_TRUE(result.status == 0 || !result.err.empty());
}

// Each start takes its time: every eighth tool, and on each kernel others.
constexpr std::size_t kTurns = 8;
bool in_turn(std::size_t n) { return (n + 3 * turn_of_kernel()) % kTurns == 0; }

TEST(Kit, ListsItsTools)
{
    const auto& names = tool_names();
    EXPECT_GE(names.size(), 1u);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

// What scripts/matrix makes docs/SUPPORT.md of: a line "support TOOL: fexit, kprobe; not seen:
// ...". Returns the rungs that were taken.
std::vector<std::string> tell_support(const std::string& tool, const std::string& explained)
{
    std::vector<std::string> taken, unseen;
    const auto add = [](std::vector<std::string>& to, const std::string& text) {
        if (std::ranges::find(to, text) == to.end())
            to.push_back(text);
    };
    for (const std::string& line : lines(explained)) {
        if (const auto at = line.find(": taken"); line.starts_with("  ") && at != line.npos)
            add(taken, line.substr(2, at - 2));
        constexpr std::string_view kNone = "  none; not seen: ";
        if (line.starts_with(kNone))
            add(unseen, line.substr(kNone.size()));
    }
    const auto join = [](const std::vector<std::string>& parts, const char* between) {
        std::string all;
        for (const std::string& part : parts)
            all += (all.empty() ? "" : between) + part;
        return all;
    };
    std::printf("support %s: %s%s%s\n", tool.c_str(), join(taken, ", ").c_str(),
                unseen.empty() ? "" : "; not seen: ", join(unseen, "; ").c_str());
    return taken;
}

void little_memory()
{
    const rlimit small{64 << 10, 64 << 10};
    ::setrlimit(RLIMIT_MEMLOCK, &small);
}

// The ways to end, one for each tool on each kernel: a start takes its time, and what is asked here
// is the kit's doing. The tests of the kit below have them all.
Result ends_by_signal(const std::string& tool, int signal)
{
    Tracer tracer(with_needed(tool, {"--json", "--explain"}), {}, little_memory);
    Result result = tracer.stop(signal);
    EXPECT_EQ(result.status, 0) << strsignal(signal) << "\n" << result.err;
    expect_exact(result);
    const auto said = said_from_start(result);
    EXPECT_EQ(said.size(), 2u) << result.err;
    EXPECT_NE(said.back().find(" seen = "), std::string::npos) << said.back();
    EXPECT_NE(said.back().find(" 0 lost"), std::string::npos) << said.back();
    return result;
}

Result ends_on_a_full_disk(const std::string& tool)
{
    Result result = run(with_needed(tool, {"--json", "--explain", "--run-time", "0.2"}), {}, [&] {
        little_memory();
        to_file("/dev/full")();
    });
    EXPECT_EQ(result.status, 4) << result.err;
    const auto said = said_from_start(result);
    EXPECT_EQ(said.size(), 3u) << result.err; // that it traces, its account, and why it ended
    EXPECT_NE(said.back().find("No space left on device"), std::string::npos) << said.back();
    return result;
}

// Nobody reads from the beginning, and the tool has nothing to say: it must see it by itself.
Result ends_without_a_reader(const std::string& tool)
{
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    Tracer tracer(with_needed(tool, {"--explain"}), {}, [&] {
        little_memory();
        ::dup2(fds[1], 1);
    });
    ::close(fds[1]);
    ::close(fds[0]);
    Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    expect_quiet(result);
    return result;
}

// Each tool does what doctor says of it; also with as little locked memory as there is by default:
// 5.10 counts BPF maps against it.
TEST_P(EveryTool, RunsHereAndEndsAsItShould)
{
    const std::string tool = GetParam();
    const Json& about = said_of_all().at(tool);
    if (cannot_run(about)) {
        if (tool == "mptcpify") {
            EXPECT_FALSE(has_function("update_socket_protocol")); // 6.6
        } else {
            EXPECT_EQ(tool, "numamove") << about; // this guest has one node
        }
        expect_as_said(tool, about);
        return;
    }
    if (about.at("probes").is_null()) { // it only reads
        EXPECT_EQ(run(with_needed(tool, {"--json"})).status, 0);
        EXPECT_EQ(run(with_needed(tool, {}), {}, to_file("/dev/full")).status, 4);
        std::printf("support %s: no probes\n", tool.c_str());
        return;
    }
    const auto& names = tool_names();
    const std::size_t turn =
        std::size_t(std::ranges::find(names, tool) - names.begin()) + turn_of_kernel();
    constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
    const Result result = turn % 5 < 3    ? ends_by_signal(tool, kSignals[turn % 5])
                          : turn % 5 == 3 ? ends_on_a_full_disk(tool)
                                          : ends_without_a_reader(tool);
    EXPECT_NE(result.err.find(": taken"), std::string::npos) << result.err;
    const auto promised = about.at("probes").get<std::vector<std::string>>();
    for (const std::string& rung : tell_support(tool, result.err))
        EXPECT_NE(std::ranges::find(promised, rung), promised.end()) << about << result.err;
}

TEST_P(EveryTool, NeedsPrivileges)
{
    if (said_of_all().at(GetParam()).at("probes").is_null())
        GTEST_SKIP() << "it attaches nothing";
    const Result result = run(with_needed(GetParam(), {}), {}, [] { become_user(); });
    expect_one_line(result, 2, "CAP_BPF and CAP_PERFMON");
    const Result half = run(with_needed(GetParam(), {}), {}, [] { become_user({CAP_PERFMON}); });
    expect_one_line(half, 2, "CAP_BPF");
    EXPECT_EQ(half.err.find("CAP_PERFMON"), std::string::npos) << half.err;
}

TEST(Kit, EndsAfterItsDuration)
{
    for (const char* tool : {"opensnoop", "vfsstat"}) {
        const auto start = std::chrono::steady_clock::now();
        Tracer tracer({tool, "--json", "--duration", "0.7"});
        const auto attached = std::chrono::steady_clock::now();
        const Result result = tracer.wait();
        const auto end = std::chrono::steady_clock::now();
        EXPECT_EQ(result.status, 0) << result.err;
        expect_exact(result);
        EXPECT_GE(end - start, std::chrono::milliseconds(700));
        EXPECT_LE(end - attached, std::chrono::seconds(10));
    }
}

// --- Ends.

TEST(Kit, ClosedPipeIsAQuietEnd)
{
    for (const char* format : {"--json", "--csv", "--utc"}) { // the last: text
        Child busy(opening());
        busy.go();
        int fds[2];
        ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
        Tracer tracer({"opensnoop", format}, {}, [&] { ::dup2(fds[1], 1); });
        ::close(fds[1]);
        std::string text;
        for (char c = 0; c != '\n' && ::read(fds[0], &c, 1) == 1;)
            text += c;
        ::close(fds[0]); // as head -1 does
        EXPECT_GT(text.size(), 10u);
        const Result result = tracer.wait();
        EXPECT_EQ(result.status, 0) << format;
        expect_quiet(result);
    }
    Child busy(opening());
    busy.go();
    const Result piped =
        shell("{ corebox opensnoop --json 2>/tmp/said; echo $? >/tmp/status; } | head -1; "
              "cat /tmp/status /tmp/said; rm /tmp/status /tmp/said");
    EXPECT_EQ(lines(piped.out).size(), 3u) << piped.out;
    EXPECT_EQ(lines(piped.out).at(1), "0") << piped.out;
    EXPECT_EQ(piped.err, "");
}

TEST(Kit, FullDiskEndsWhileItRuns)
{
    for (const char* format : {"--json", "--csv", "--utc"}) {
        Child busy(opening());
        busy.go();
        const Result result = run({"opensnoop", format}, {}, to_file("/dev/full"));
        EXPECT_EQ(result.status, 4) << result.err;
        // That it traces, its account with what nobody read, and why it ended.
        const auto said = lines(result.err);
        ASSERT_EQ(said.size(), 3u) << result.err;
        EXPECT_NE(said[1].find(" seen = "), std::string::npos) << result.err;
        EXPECT_NE(said[2].find("No space left on device"), std::string::npos) << result.err;
    }
    // A real one, with room for some.
    TempDir dir;
    ASSERT_EQ(::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=16k"), 0);
    Child busy([] {
        for (int i = 0; i < 2000; i++)
            open_missing("/no/such/file");
    });
    const std::string file = dir / "out";
    Tracer tracer({"opensnoop", "--json", "-p", to_string(busy.pid())}, {},
                  [&] { ::dup2(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), 1); });
    busy.go();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 4) << result.err;
    EXPECT_EQ(read_file(file).size(), 16384u);
    ::umount(dir.path().c_str());
}

// What reads its output has stopped: it ends all the same once it is told to.
TEST(Kit, EndsThoughNobodyReads)
{
    Child busy(opening());
    busy.go();
    int fds[2];
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    Tracer tracer({"opensnoop", "--json"}, {}, [&] { ::dup2(fds[1], 1); });
    ::close(fds[1]);
    for (int waiting = 0, last = -1; waiting != last || waiting == 0; ::usleep(300'000)) {
        last = waiting;
        ASSERT_EQ(::ioctl(fds[0], FIONREAD, &waiting), 0);
    }
    const Result result = tracer.stop();
    EXPECT_EQ(result.status, 4) << result.err;
    EXPECT_NE(result.err.find("cannot write to standard output: "), std::string::npos)
        << result.err;
    ::close(fds[0]);
}

TEST(Kit, AHangUpThatIsIgnoredIsNone)
{
    Tracer tracer({"opensnoop", "--json"}, {}, [] { std::signal(SIGHUP, SIG_IGN); });
    tracer.kill(SIGHUP);
    ::usleep(500'000);
    ASSERT_EQ(::kill(tracer.pid(), 0), 0);
    EXPECT_EQ(tracer.err().find(" seen = "), std::string::npos) << tracer.err();
    EXPECT_EQ(tracer.stop().status, 0);
}

TEST(Kit, ACommandThatCannotBeRunIsSaid)
{
    for (const char* tool : {"opensnoop", "syscount", "profile", "vfsreadlat"}) {
        const Result result = run({tool, "--json", "--", "no\x1b[2Jsuch"});
        EXPECT_EQ(result.status, 2) << tool;
        EXPECT_EQ(lines(result.err).back(),
                  std::string(tool) + ": cannot run no\\x1b[2Jsuch: No such file or directory");
    }
    EXPECT_EQ(run({"opensnoop", "--", "/etc/passwd"}).status, 2);
}

TEST(Kit, DeathOfTheTargetEndsTheRun)
{
    Child target(opening());
    target.go();
    Tracer tracer({"opensnoop", "--json", "-p", to_string(target.pid())});
    tracer.wait_for("/no/such/file");
    ::kill(target.pid(), SIGKILL);
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_GT(result.records.size(), 0u);
    expect_exact(result);
}

// Intervals that are shorter than the time between two looks at a thread do not keep it from
// ending.
TEST(Kit, DeathOfTheThreadEndsARunOfShortIntervals)
{
    Child target(opening());
    target.go();
    Tracer tracer({"syscount", "--json", "-i", "0.02", "--tid", to_string(target.pid())});
    ::kill(target.pid(), SIGKILL);
    target.wait();
    const Result result = tracer.wait();
    // Where the kernel preempts itself, it may skip programs meanwhile: it ends all the same.
    EXPECT_TRUE(result.status == 0 || (result.status == 3 && preempts_itself())) << result.err;
}

TEST(Kit, SignalsInAFloodPrintAllThatWasSeen)
{
    for (const int signal : {SIGINT, SIGTERM}) {
        Child flood([] {
            for (;;)
                ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
        });
        const pid_t pid = flood.pid();
        Tracer tracer({"opensnoop", "--json"});
        flood.go();
        tracer.wait_for("/no/such/file");
        const Result result = tracer.stop(signal);
        const auto number = [&](const char* key) {
            return result.account.value(key, std::uint64_t(0));
        };
        EXPECT_EQ(number("seen"), number("printed") + number("filtered") + number("lost"));
        EXPECT_EQ(number("printed"), result.records.size());
        EXPECT_GT(with(result.records, "pid", pid).size(), 10u);
        EXPECT_EQ(result.status, number("lost") ? 3 : 0);
    }
}

TEST(Kit, SaysWhenItIsAttached)
{
    Tracer tracer({"opensnoop"});
    EXPECT_EQ(tracer.err(), "opensnoop: tracing; Ctrl-C ends\n");
    tracer.wait_for("PID"); // the header comes at once, not with the first event
    tracer.stop();
}

TEST(Kit, ShowsAnEventWithinMoments)
{
    // Rare wake-ups must not mean a long wait: an idle system still shows an event at once.
    Child one([] { open_missing("/no/such/file"); });
    Tracer tracer({"opensnoop", "--json", "-n", "guest_tests"});
    one.go_wait();
    EXPECT_TRUE(wait_until([&] { return tracer.out().find("/no/such/file") != std::string::npos; },
                           std::chrono::seconds(3)));
    tracer.stop();
}

TEST(Kit, DoesNotTraceItself)
{
    Tracer tracer({"opensnoop", "--json", "--duration", "1"});
    const pid_t self = tracer.pid();
    const Result result = tracer.wait();
    EXPECT_EQ(with(result.records, "pid", self).size(), 0u) << result.out;
}

TEST(Kit, LeavesNothingBehind)
{
    const auto programs = [] {
        // Ids only grow; what the kernel still has is what somebody holds.
        unsigned id = 0, n = 0;
        union {
            struct {
                unsigned start, next, flags;
            } ids;
            char bytes[128];
        } attr{};
        for (attr.ids.start = 0;
             ::syscall(SYS_bpf, 11 /* BPF_PROG_GET_NEXT_ID */, &attr, sizeof attr) == 0;
             attr.ids.start = id) {
            id = attr.ids.next;
            n++;
        }
        return n;
    };
    const unsigned before = programs();
    {
        Tracer tracer({"opensnoop"});
        EXPECT_GT(programs(), before);
        tracer.stop(SIGKILL); // however it dies
    }
    // (Fewer: those of the test before this one go with a delay.)
    EXPECT_TRUE(wait_until([&] { return programs() <= before; }));
}

// --- Who is traced.

TEST(Kit, NoSuchProcess)
{
    expect_one_line(run({"opensnoop", "-p", "999999"}), 2, "999999");
    expect_one_line(run({"opensnoop", "-t", "999999"}), 2, "999999");
    expect_one_line(run({"opensnoop", "--ppid", "999999"}), 2, "999999");
    expect_one_line(run({"opensnoop", "-p", "0"}), 1, "pid");
    expect_one_line(run({"opensnoop", "-p", "1,x"}), 1, "pid");
    expect_one_line(run({"opensnoop", "-p", "-1"}), 1, "pid");
    expect_one_line(run({"opensnoop", "-p", ""}), 1, "pid");
    expect_one_line(run({"opensnoop", "-p", "99999999999999999999"}), 1, "pid");
}

TEST(Kit, PidsOfItsOwnNamespace)
{
    TempDir dir;
    Child outside(opening(dir / "outside"));
    outside.go();
    in_namespaces(CLONE_NEWPID, [&] {
        Child child([&] { open_missing(dir / "child"); });
        Child other([&] { open_missing(dir / "other"); });
        EXPECT_LT(child.pid(), 10); // this namespace's, not the machine's
        const pid_t pid = child.pid();
        Tracer tracer({"opensnoop", "--json", "-p", to_string(pid)});
        other.go_wait();
        child.go_wait();
        const Result result = tracer.wait();
        EXPECT_EQ(result.status, 0) << result.err;
        ASSERT_EQ(result.records.size(), 1u) << result.out;
        EXPECT_EQ(result.records[0].at("path"), dir / "child");
        EXPECT_EQ(result.records[0].at("pid"), pid);
        EXPECT_EQ(result.records[0].at("tid"), pid);
        expect_exact(result);

        // Lists, threads and the command's tree go by the same numbers.
        Child a([&] { open_missing(dir / "a"); }), b([&] { open_missing(dir / "b"); });
        Tracer both({"opensnoop", "--json", "-p", to_string(a.pid()) + "," + to_string(b.pid())});
        const pid_t first = a.pid(), second = b.pid();
        a.go_wait();
        b.go_wait();
        const Result listed = both.wait();
        ASSERT_EQ(listed.records.size(), 2u) << listed.out;
        EXPECT_EQ(listed.records[0].at("pid"), first);
        EXPECT_EQ(listed.records[1].at("pid"), second);

        const Result tree = run({"opensnoop", "--json", "--", "sh", "-c",
                                 "cat " + (dir / "tree") + " 2>/dev/null; true"});
        EXPECT_EQ(with(tree.records, "path", dir / "tree").size(), 1u) << tree.out;
        EXPECT_EQ(with(tree.records, "path", dir / "outside").size(), 0u);

        expect_one_line(run({"opensnoop", "-p", to_string(99999)}), 2, "99999");
    });
}

// A child that gets the number of a process that is gone.
std::unique_ptr<Child> child_with_number(pid_t number, const std::function<void()>& work)
{
    for (int i = 0; i < 100; i++) {
        write_file("/proc/sys/kernel/ns_last_pid", to_string(number - 1));
        auto child = std::make_unique<Child>(work); // another process may get it
        if (child->pid() == number)
            return child;
    }
    throw std::runtime_error("nobody gets number " + to_string(number));
}

std::vector<std::string> opened(const Result& result)
{
    std::vector<std::string> paths;
    for (const Json& record : result.records)
        paths.push_back(record.at("path"));
    return paths;
}

// The kernel gives the number of a task that is gone to another one.
TEST(Kit, WhoGetsATracedNumberIsAStranger)
{
    using Paths = std::vector<std::string>;
    TempDir dir;
    for (const char* rung : {"", "kprobe"})
        for (const char* option : {"--pid", "--tid"}) {
            Child first([&] { open_missing(dir / "first"); });
            Child second([&] { open_missing(dir / "second"); });
            Tracer tracer({"opensnoop", "--json", option,
                           to_string(first.pid()) + "," + to_string(second.pid())},
                          {{"COREBOX_PROBES", rung}});
            const pid_t number = first.pid();
            first.go_wait();
            child_with_number(number, [&] { open_missing(dir / "stranger"); })->go_wait();
            second.go_wait();
            const Result result = tracer.wait();
            EXPECT_EQ(opened(result), (Paths{dir / "first", dir / "second"})) << option << rung;
            expect_exact(result);
        }

    const auto parent_of = [&](const char* name) {
        return [&dir, name] { Child([&] { open_missing(dir / name); }).go_wait(); };
    };
    Child parent(parent_of("child"));
    Tracer tracer({"opensnoop", "--json", "--ppid", to_string(parent.pid())});
    const pid_t number = parent.pid();
    parent.go_wait();
    child_with_number(number, parent_of("stranger"))->go_wait();
    EXPECT_EQ(opened(tracer.stop()), Paths{dir / "child"});
}

TEST(Kit, AThreadIsNoProcess)
{
    Gate seen;
    pid_t tid = 0;
    std::thread thread([&] {
        tid = pid_t(::syscall(SYS_gettid));
        seen.wait();
    });
    wait_until([&] { return *const_cast<volatile pid_t*>(&tid) != 0; });
    for (const char* option : {"--pid", "--ppid"})
        expect_one_line(run({"opensnoop", option, to_string(tid)}), 2,
                        "it is a thread of process " + to_string(::getpid()) + "; use " +
                            to_string(::getpid()) + ", or --tid " + to_string(tid));
    seen.open();
    thread.join();
}

// In a time namespace clocks are others than those by which the kernel says when a task began.
TEST(Kit, PidsInATimeNamespace)
{
    Child target(opening());
    target.go();
    Child tool([&] {
        EXPECT_EQ(::unshare(CLONE_NEWTIME), 0);
        write_file("/proc/self/timens_offsets", "monotonic -1 0");
        Tracer tracer({"opensnoop", "--json", "-p", to_string(target.pid())});
        tracer.wait_for("/no/such/file");
        tracer.stop();
    });
    tool.go_wait();
}

// A unit that restarts has another cgroup of the same path. Nothing that runs in it is missed, and
// nothing else is taken for it.
TEST(Kit, FollowsThePathOfACgroup)
{
    TempDir dir;
    const auto opening_in = [&](const std::string& cgroup) {
        return [&dir, cgroup] {
            write_file("/sys/fs/cgroup/" + cgroup + "/cgroup.procs", "0");
            std::string name = cgroup;
            std::ranges::replace(name, '/', '-');
            open_missing(dir / name);
        };
    };
    std::unique_ptr<Tracer> tracer;
    for (int time = 0; time < 3; time++) {
        const Cgroup slice("slice"), service("slice/x.service"), below("slice/x.service/below");
        const Cgroup sibling("slice/x.servic"), other("other"), namesake("other/x.service");
        if (time == 0)
            tracer.reset(
                new Tracer({"opensnoop", "--json", "-x", "--cgroup", "0::/slice/x.service"}));
        for (const char* cgroup : {"slice", "slice/x.service", "slice/x.service/below",
                                   "slice/x.servic", "other/x.service"})
            Child(opening_in(cgroup)).go_wait();
    }
    const Result result = tracer->stop();
    std::vector<std::string> expected;
    for (int time = 0; time < 3; time++)
        for (const char* name : {"slice-x.service", "slice-x.service-below"})
            expected.push_back(dir / name);
    EXPECT_EQ(opened(result), expected);
    expect_exact(result);
}

// As users find them in /proc/PID/cgroup and in systemctl.
TEST(Kit, NamesOfACgroup)
{
    const Cgroup cgroup("named");
    for (const char* name : {"named", "/named", "0::/named", "/sys/fs/cgroup/named", "/"})
        EXPECT_EQ(run({"opensnoop", "--check", "--cgroup", name}).status, 0) << name;
    for (const char* name : {"nameless", "/nameless", "0::/nameless", "4:memory:/named", "/tmp"})
        expect_one_line(run({"opensnoop", "--check", "--cgroup", name}), 2, "/proc/PID/cgroup");
}

// --- Several ring buffers, which a machine with more than 4 CPUs has. scripts/test boots one for
// these tests; elsewhere they are forced.

class Shards : public testing::Test
{
protected:
    void SetUp() override { ASSERT_GE(cpus_, 2u) << "records of one CPU are always in order"; }
    Environment env() const
    {
        return cpus_ > 4 ? Environment{} : Environment{{"COREBOX_SHARDS", "2"}};
    }
    static void move_to(unsigned cpu)
    {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        EXPECT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
    }

    const unsigned cpus_ = cpus(); // it opens a file
};

TEST_F(Shards, RecordsOfOneReadingComeInTheOrderOfTime)
{
    std::vector<std::string> expected;
    for (int i = 0; i < 499; i++)
        expected.push_back("/no/such/" + to_string(i));
    Child child([&] {
        for (std::size_t i = 0; i < expected.size(); i++) {
            move_to(unsigned(i % 31 % cpus_));
            open_missing(expected[i]);
        }
    });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid())}, env());
    tracer.kill(SIGSTOP);
    child.go_wait();
    tracer.kill(SIGCONT);
    const Result result = tracer.wait();
    EXPECT_EQ(opened(result), expected);
    expect_exact(result);
}

TEST_F(Shards, OneCpuThatSendsTooMuchLeavesTheOthersTheirRoom)
{
    constexpr int kFlood = 20'000, kLater = 11;
    Child child([] {
        move_to(0);
        for (int i = 0; i < kFlood; i++)
            ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
        move_to(1);
        for (int i = 0; i < kLater; i++)
            open_missing("/no/such/other");
    });
    Tracer tracer({"opensnoop", "--json", "--buffer-size", "1024", "-p", to_string(child.pid())},
                  env());
    tracer.kill(SIGSTOP);
    child.go_wait();
    tracer.kill(SIGCONT);
    const Result result = tracer.wait();
    const auto number = [&](const char* key) { return result.account.value(key, 0); };
    EXPECT_EQ(with(result.records, "path", "/no/such/other").size(), std::size_t(kLater));
    EXPECT_EQ(number("printed"), int(result.records.size()));
    EXPECT_GT(number("printed"), kLater + 1000);
    EXPECT_GT(number("lost_buffer"), 1000);
    EXPECT_EQ(number("printed") + number("lost_buffer"), kFlood + kLater) << result.account;
    EXPECT_EQ(number("seen"), kFlood + kLater) << result.account;
}

// Each CPU at once, and the tool reads meanwhile.
TEST_F(Shards, AllCpusAtOnceAreAccountedFor)
{
    const int each = 8'000 / int(cpus_);
    std::vector<std::unique_ptr<Child>> children;
    std::string pids;
    for (unsigned cpu = 0; cpu < cpus_; cpu++) {
        children.push_back(std::make_unique<Child>([cpu, each] {
            move_to(cpu);
            for (int i = 0; i < each; i++)
                ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
        }));
        pids += (cpu ? "," : "") + to_string(children.back()->pid());
    }
    Tracer tracer({"opensnoop", "--json", "-p", pids}, env());
    for (const auto& child : children)
        child->go();
    for (const auto& child : children)
        EXPECT_EQ(child->wait(), 0);
    const Result result = tracer.wait();
    expect_exact_flood(result, result.records.size(), std::uint64_t(each) * cpus_);
    EXPECT_EQ(run({"opensnoop", "--check"}, {{"COREBOX_SHARDS", "65"}}).status, 1);
}

// A record that is larger than the others lies in the ring of its CPU, too.
TEST_F(Shards, LongArguments)
{
    const std::string argument(100'000, 'x');
    Child child([&] { ::execl("/bin/true", "true", argument.c_str(), nullptr); });
    Tracer tracer({"execsnoop", "--json", "-p", to_string(child.pid())}, env());
    child.go_wait();
    const Result result = tracer.wait();
    ASSERT_EQ(result.records.size(), 1u) << result.err;
    EXPECT_NE(result.out.find(argument), std::string::npos);
    expect_exact(result);
}

// --- Where something is missing.

TEST(Kit, TwoCapabilitiesAreEnough)
{
    // Without CAP_SYS_RESOURCE the tool cannot raise RLIMIT_MEMLOCK itself.
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    Child child([] { open_missing("/no/such/file"); });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid())}, {}, [&] {
        ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
        become_user({CAP_BPF, CAP_PERFMON});
    });
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.records.size(), 1u);
    expect_exact(result);
}

// What it reads after attaching it must still be allowed to read: before 5.19 by CAP_SYS_ADMIN.
TEST(Kit, TheAdministratorsCapabilityAloneIsEnough)
{
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    Child child([] {
        for (int i = 0; i < 100; i++)
            ::syscall(SYS_getppid);
    });
    Tracer tracer({"syscount", "--json", "-p", to_string(child.pid())}, {}, [&] {
        ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
        become_user({CAP_SYS_ADMIN});
    });
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    const Records calls = with(result.records, "syscall", "getppid");
    ASSERT_EQ(calls.size(), 1u) << result.out;
    EXPECT_EQ(calls[0].at("count"), 100);
    expect_exact(result);
}

// (Every test runs its tools so that a system call that was given up ends them.)
TEST(Kit, GivesUpWhatItNeedsNoMore)
{
    const auto bits = [](std::initializer_list<int> capabilities) {
        std::uint64_t mask = 0;
        for (const int c : capabilities)
            mask |= std::uint64_t(1) << c;
        char hex[17];
        std::snprintf(hex, sizeof hex, "%016llx", (unsigned long long)mask);
        return std::string(hex);
    };
    struct Kept {
        std::vector<std::string> argv;
        std::string capabilities, said;
    };
    const std::vector<Kept> kept = {
        {{"opensnoop", "--explain"}, bits({CAP_BPF}), "CAP_BPF"},
        {{"opensnoop", "--explain", "--", "sleep", "60"},
         bits({CAP_BPF, CAP_KILL}),
         "CAP_KILL, CAP_BPF"},
        {{"profile", "--explain"},
         bits({CAP_BPF, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE, CAP_SYSLOG}),
         "CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_SYSLOG, CAP_BPF, CAP_CHECKPOINT_RESTORE"},
    };
    for (const auto& [argv, capabilities, said] : kept) {
        Tracer tracer(argv);
        const std::string status = read_file("/proc/" + to_string(tracer.pid()) + "/status");
        for (const char* set : {"CapEff:\t", "CapPrm:\t"})
            EXPECT_NE(status.find(set + capabilities + "\n"), status.npos) << status;
        EXPECT_NE(status.find("\nSeccomp:\t2\n"), status.npos) << status;
        EXPECT_NE(status.find("\nNoNewPrivs:\t1\n"), status.npos) << status;
        const Result result = tracer.stop();
        EXPECT_EQ(result.status, 0) << result.err;
        EXPECT_NE(result.err.find("dropped privileges:"), result.err.npos) << result.err;
        std::string names;
        for (const std::string& line : lines(result.err))
            if (line.starts_with("  capabilities: all but "))
                names = line.substr(24);
        EXPECT_EQ(names, said) << result.err;
    }
}

TEST(Kit, LockedMemoryThatCannotBeRaisedIsNamed)
{
    const rlimit small{64 << 10, 64 << 10};
    const Result result = run({"opensnoop", "--check"}, {}, [&] {
        ::setrlimit(RLIMIT_MEMLOCK, &small);
        become_user({CAP_BPF, CAP_PERFMON});
    });
    if (has_function("bpf_map_charge_memlock")) // later kernels count against the cgroup
        expect_one_line(result, 2, "RLIMIT_MEMLOCK");
    else
        EXPECT_EQ(result.status, 0) << result.err;
}

TEST(Kit, WithoutTracefs)
{
    in_namespaces(0, [] {
        EXPECT_EQ(::umount2("/sys/kernel/tracing", MNT_DETACH), 0);
        ::umount2("/sys/kernel/debug/tracing", MNT_DETACH);
        EXPECT_EQ(::umount2("/sys/kernel/debug", MNT_DETACH), 0);
        for (const char* rung : {"", "fexit", "kprobe"}) {
            Child child([] { open_missing("/no/such/file"); });
            Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid())},
                          {{"COREBOX_PROBES", rung}});
            child.go_wait();
            EXPECT_EQ(tracer.wait().records.size(), 1u) << rung;
        }
        expect_one_line(run({"opensnoop"}, {{"COREBOX_PROBES", "tracepoint"}}), 2, "tracefs");
    });
}

TEST(Kit, WithoutBtf)
{
    TempDir empty;
    in_namespaces(0, [&] {
        EXPECT_EQ(::mount(empty.path().c_str(), "/sys/kernel/btf", nullptr, MS_BIND, nullptr), 0);
        expect_one_line(run({"opensnoop"}), 2, "BTF");
    });
}

TEST(Kit, WithoutProc)
{
    in_namespaces(0, [] {
        EXPECT_EQ(::umount2("/proc", MNT_DETACH), 0);
        const Result result = run({"opensnoop", "--check"});
        EXPECT_TRUE(result.status == 0 || result.status == 2) << result.err;
        EXPECT_LE(lines(result.err).size(), 1u) << result.err;
    });
}

// --- What doctor says is what happens. Where nothing is missing RunsHereAndEndsAsItShould asks.

// It takes 10 s and more: every tool starts of which doctor now says something else.
TEST(Doctor, WithoutTracefs)
{
    const auto before = doctor();
    in_namespaces(0, [&] {
        EXPECT_EQ(::umount2("/sys/kernel/tracing", MNT_DETACH), 0);
        ::umount2("/sys/kernel/debug/tracing", MNT_DETACH);
        EXPECT_EQ(::umount2("/sys/kernel/debug", MNT_DETACH), 0);
        const auto now = doctor();
        EXPECT_EQ(now.size(), before.size());
        std::size_t n = 0;
        for (const auto& [tool, said] : now) {
            if (cannot_run(said) && !cannot_run(before.at(tool)))
                EXPECT_NE(said.dump().find("mount -t tracefs"), std::string::npos) << said;
            if (said != before.at(tool) || in_turn(n++))
                expect_as_said(tool, said);
        }
    });
}

TEST(Doctor, WithoutBtf)
{
    TempDir empty;
    in_namespaces(0, [&] {
        EXPECT_EQ(::mount(empty.path().c_str(), "/sys/kernel/btf", nullptr, MS_BIND, nullptr), 0);
        std::size_t n = 0;
        for (const auto& [tool, said] : doctor())
            if (in_turn(n++) || !cannot_run(said)) // softirqslower's look at no type
                expect_as_said(tool, said);
        EXPECT_FALSE(cannot_run(doctor({}, "softirqslower").at("softirqslower")));
    });
}

// The file that scripts/min-btf made of this kernel's types, with which tools run all the same that
// need no trampoline.
TEST(Doctor, WithTypesFromElsewhere)
{
    TempDir empty;
    in_namespaces(0, [&] {
        EXPECT_EQ(::mount(empty.path().c_str(), "/sys/kernel/btf", nullptr, MS_BIND, nullptr), 0);
        const Result said = run({"doctor", "--json", "--btf", "/t/btf"});
        std::size_t n = 0, run_here = 0;
        for (const Json& row : said.records) {
            run_here += cannot_run(row) ? 0 : 1;
            // What ksnoop is asked for is in no file that has only what tools ask for.
            if (row.at("tool") == "ksnoop" || !in_turn(n++))
                continue;
            const Result result = run(with_needed(row.at("tool"), {"--check", "--btf", "/t/btf"}));
            EXPECT_EQ(result.status, cannot_run(row) ? 2 : 0) << row << "\n" << result.err;
        }
        EXPECT_GE(run_here * 2, said.records.size()) << said.out;

        Child child([] { open_missing("/no/such/file"); });
        Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid()), "--btf",
                       "/t/btf/" + lines(shell("uname -r").out).at(0) + ".btf"});
        child.go_wait();
        const Result result = tracer.wait();
        EXPECT_EQ(result.records.size(), 1u) << result.err;
        expect_exact(result);
    });
    for (const char* bad : {"/no/such/file", "/etc/passwd", "/tmp"})
        expect_one_line(run({"opensnoop", "--btf", bad}), 2, bad);
}

TEST(Doctor, WithoutCapabilities)
{
    const auto before = [&] { become_user({CAP_BPF}); };
    std::size_t n = 0;
    for (const auto& [tool, said] : doctor(before)) {
        EXPECT_TRUE(!cannot_run(said) || said.at("fix").is_string()) << said;
        if (in_turn(n++))
            expect_as_said(tool, said, before);
    }
}

// An ordinary user with no more than the two, on Debian's kernels, which let only CAP_SYS_ADMIN
// open perf events, and on others: each tool runs, or its one line says which capability is
// missing, and doctor has said just that before. It takes a minute: every tool is started.
TEST(Doctor, TwoCapabilitiesAndNoMore)
{
    // Before 5.11 maps count as locked memory, which only CAP_SYS_RESOURCE raises.
    const auto unlimited = [] {
        const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
        ::setrlimit(RLIMIT_MEMLOCK, &all);
    };
    const BeforeExec none = [&] { unlimited(), become_user(); };
    const BeforeExec two = [&] { unlimited(), become_user({CAP_BPF, CAP_PERFMON}); };
    const BeforeExec three = [&] {
        unlimited(), become_user({CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH});
    };
    const auto expect_said = [&](const std::string& tool, const Json& said,
                                 const BeforeExec& before) {
        const bool only_reads = tool == "tplist" || tool == "bpflist";
        auto argv = with_needed(tool, {"--json"});
        if (!only_reads)
            argv.insert(argv.end(), {"--run-time", "0.1"}); // --duration is another in criticalstat
        const Result result = run(argv, {}, before);
        if (!cannot_run(said)) {
            EXPECT_TRUE(result.status == 0 || result.status == 3) << said << "\n" << result.err;
            EXPECT_EQ(result.account.is_object(), !only_reads) << tool << "\n" << result.err;
            return;
        }
        expect_one_line(result, 2, "CAP_");
        // "no exits of virtual machines: tracepoint: ...", and the same from the tool.
        const std::string cause = said.at("cause");
        const auto colon = cause.find(": ");
        EXPECT_TRUE(said.at("fix").is_string()) << said;
        if (tool == "tplist") {
            EXPECT_EQ(result.err, "tplist: cannot list tracepoints: " + cause + "; " +
                                      said.at("fix").get<std::string>() + "\n");
            return;
        }
        // What a run observes may be another thing than what doctor looked at first.
        EXPECT_TRUE(result.err.starts_with(tool + ": cannot observe ")) << result.err;
        EXPECT_TRUE(result.err.ends_with(" on this kernel: " + cause.substr(colon + 2) + "; " +
                                         said.at("fix").get<std::string>() + "\n"))
            << result.err << said;
    };

    const auto said = doctor(two);
    std::size_t n = 0;
    for (const auto& [tool, about] : said)
        if (cannot_run(said_of_all().at(tool))) // as root neither: numamove, with one node
            EXPECT_EQ(about.at("cause"), said_of_all().at(tool).at("cause"));
        else if (cannot_run(about) || in_turn(n++))
            expect_said(tool, about, two);
    // The fix makes it available.
    const std::string setting = "/proc/sys/kernel/perf_event_paranoid", before = read_file(setting);
    const auto change = [&](const std::map<std::string, Json>& from, const BeforeExec& as,
                            std::string_view fix) {
        auto now = doctor(as);
        std::size_t changed = 0;
        for (const auto& [tool, about] : now)
            if (const Json& was = from.at(tool); cannot_run(was) && !cannot_run(about)) {
                EXPECT_NE(was.at("fix").get<std::string>().find(fix), std::string::npos) << was;
                if (changed++ % kTurns == 0)
                    expect_said(tool, about, as);
            }
        EXPECT_GT(changed, 0u) << fix;
        return now;
    };
    // The same two by the file, as setcap gives them: a program whose /proc/self is root's.
    {
        TempDir dir("/mnt/ext4");
        const std::string file = dir / "corebox";
        ASSERT_EQ(shell("chmod 755 " + dir.path() + " && cp /usr/sbin/corebox " + file).status, 0);
        const vfs_cap_data given{VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                                 {{0, 0}, {1 << (CAP_BPF - 32) | 1 << (CAP_PERFMON - 32), 0}}};
        ASSERT_EQ(::setxattr(file.c_str(), "security.capability", &given, XATTR_CAPS_SZ_2, 0), 0);
        for (const char* tool : {"opensnoop", "biolatency", "offcputime"}) {
            const Result result =
                run({tool, "--json", "--duration", "0.1"}, {{"PATH", dir.path()}}, none);
            EXPECT_EQ(result.status, 0) << tool << "\n" << result.err;
        }
    }
    EXPECT_TRUE(cannot_run(said.at("runqlen"))) << said.at("runqlen");
    EXPECT_TRUE(cannot_run(said.at("kvmexit"))) << said.at("kvmexit");
    write_file(setting, "2");
    const auto sampling = change(said, two, "sysctl kernel.perf_event_paranoid=2");
    EXPECT_FALSE(cannot_run(sampling.at("runqlen"))) << sampling.at("runqlen");
    EXPECT_TRUE(cannot_run(sampling.at("kvmexit"))) << sampling.at("kvmexit");
    const auto reading = change(sampling, three, "cap_dac_read_search");
    for (const auto& [tool, about] : reading)
        EXPECT_EQ(cannot_run(about), cannot_run(said_of_all().at(tool))) << about;
    write_file(setting, before);
}

// The command that doctor says makes it true. It takes 10 s and more: modules are unloaded and
// loaded.
TEST(Doctor, ModulesThatAreNotLoaded)
{
    ASSERT_EQ(shell("rmmod raid1 && rmmod md_mod && rmmod kvm_amd && rmmod kvm").status, 0);
    for (const char* tool : {"mdflush", "kvmexit"}) {
        const Json said = doctor({}, tool).at(tool);
        EXPECT_TRUE(cannot_run(said)) << said;
        expect_as_said(tool, said);
        const std::string fix = said.at("fix");
        EXPECT_TRUE(fix.starts_with("modprobe ")) << said;
        const std::string module = words(fix).back(); // "modprobe kvm_intel or kvm_amd"
        EXPECT_EQ(shell("modprobe " + module).status, 0) << fix;
        const Json now = doctor({}, tool).at(tool);
        EXPECT_FALSE(cannot_run(now)) << now;
        expect_as_said(tool, now);
    }
    ASSERT_EQ(shell("modprobe raid1").status, 0);
}

TEST(Doctor, OneTool)
{
    const Result one = run({"doctor", "opensnoop,biolatency"});
    EXPECT_EQ(one.status, 0);
    ASSERT_EQ(lines(one.out).size(), 3u) << one.out;
    EXPECT_EQ(words(lines(one.out)[0]).at(0), "TOOL");
    EXPECT_EQ(words(lines(one.out)[1]).at(1), "ok") << one.out;
    const Result not_me = run({"doctor", "opensnoop"}, {}, [] { become_user(); });
    EXPECT_EQ(not_me.status, 2);
    EXPECT_NE(not_me.out.find("setcap"), std::string::npos) << not_me.out;
    const Result two = run({"doctor", "opensnoop", "biolatency"});
    EXPECT_EQ(two.out, one.out) << "separate words are as good";
    expect_one_line(run({"doctor", "nosuchtool"}), 1, "nosuchtool");
    expect_one_line(run({"doctor", "--nonsense"}), 1, "nonsense");
}

// kernel.ftrace_enabled, which is on again at the end.
class FtraceSwitch
{
public:
    ~FtraceSwitch() { set(true); }
    void set(bool on) const { write_file("/proc/sys/kernel/ftrace_enabled", on ? "1" : "0"); }
};

// What attaches by ftrace would attach, and never fire: another probe is used, or none.
TEST(Doctor, FtraceThatIsOff)
{
    const auto before = said_of_all();
    const FtraceSwitch ftrace;
    ftrace.set(false);
    const std::string fix = "sysctl kernel.ftrace_enabled=1";
    std::size_t n = 0;
    for (const auto& [tool, said] : doctor())
        if (tool == "opensnoop" || (cannot_run(said) && !cannot_run(before.at(tool)))) {
            EXPECT_EQ(said.at("fix"), fix) << said;
            if (tool == "opensnoop" || in_turn(n++))
                expect_as_said(tool, said);
        }
    EXPECT_TRUE(cannot_run(doctor({}, "vfsstat").at("vfsstat")));
    expect_one_line(run({"vfsstat", "--check"}), 2, fix);
    Child child([] { open_missing("/no/such/file"); });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(with(result.records, "path", "/no/such/file").size(), 1u) << result.out;
    expect_exact(result);
}

// The run says since when events are missing, and does not end as if it had seen all. (A kprobe:
// while an fexit program is attached 5.10 does not let ftrace be switched off.)
TEST(Doctor, ProbesThatFallSilentMeanwhile)
{
    const FtraceSwitch ftrace;
    Gate second, third;
    Child child([&] {
        open_missing("/no/such/first");
        second.wait();
        open_missing("/no/such/second");
        third.wait();
        open_missing("/no/such/third");
    });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid())},
                  {{"COREBOX_PROBES", "kprobe"}});
    child.go();
    tracer.wait_for("/no/such/first");
    ftrace.set(false);
    EXPECT_TRUE(wait_until([&] {
        return tracer.err().find("events are missing since") != std::string::npos;
    })) << tracer.err();
    second.open();
    ::usleep(100'000);
    ftrace.set(true);
    third.open();
    child.wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 3) << result.err;
    EXPECT_EQ(with(result.records, "path", "/no/such/second").size(), 0u) << result.out;
    EXPECT_EQ(with(result.records, "path", "/no/such/first").size(), 1u) << result.out;
    EXPECT_GT(result.account.value("silent_ms", 0), 0) << result.account;
}

// It has all capabilities, which hold in its namespace only.
TEST(Doctor, RootOfAUserNamespace)
{
    const Result result = shell("unshare -Ur corebox opensnoop --check");
    expect_one_line(result, 2, "user namespace");
    const Result said = shell("unshare -Ur corebox doctor opensnoop");
    EXPECT_EQ(said.status, 2);
    EXPECT_NE(said.out.find("user namespace"), std::string::npos) << said.out;
}

TEST(Doctor, NamesOfKernelFunctions)
{
    const std::string setting = "/proc/sys/kernel/kptr_restrict", before = read_file(setting);
    write_file(setting, "2");
    const auto said = doctor();
    write_file(setting, before);
    EXPECT_EQ(said.at("offcputime").at("fix"), "sysctl kernel.kptr_restrict=1");
    EXPECT_TRUE(said.at("opensnoop").at("fix").is_null()) << said.at("opensnoop");
}

TEST(Kit, ProbesThatNoToolHas)
{
    const Result result = run({"opensnoop", "--check"}, {{"COREBOX_PROBES", "nonsense"}});
    expect_one_line(result, 1, "nonsense");
    EXPECT_NE(result.err.find("fexit, tracepoint, kprobe"), std::string::npos) << result.err;
}

// scripts/test boots kernels with lockdown= for this one.
TEST(Lockdown, DoctorSaysWhatHappens)
{
    const std::string modes = read_file("/sys/kernel/security/lockdown");
    if (modes.find("[none]") != modes.npos)
        GTEST_SKIP() << "no lockdown";
    // Half of the tools in each mode, those that can run and those that cannot.
    std::size_t n[2]{};
    const std::size_t half = modes.find("[integrity]") != modes.npos ? 0 : 1;
    for (const auto& [tool, said] : doctor())
        if (n[cannot_run(said)]++ % 2 == half)
            expect_as_said(tool, said);
}

// --- The program itself.

TEST(Kit, NamesAndLinks)
{
    EXPECT_EQ(run({}).status, 1);
    EXPECT_EQ(run({"nosuchtool"}).status, 1);
    EXPECT_EQ(run({"--version"}).status, 0);
    EXPECT_EQ(run({"--help"}).status, 0);
    TempDir dir;
    EXPECT_EQ(run({"--install", dir.path()}).status, 0);
    for (const std::string& name : tool_names()) {
        const Result result = shell((dir / name) + " --version");
        EXPECT_EQ(result.status, 0) << name;
        EXPECT_TRUE(result.out.starts_with(name + " (corebox) ")) << result.out;
    }
    // Again is no error; what is not a link is not overwritten.
    EXPECT_EQ(run({"--install", dir.path()}).status, 0);
    ::unlink((dir / "opensnoop").c_str());
    write_file(dir / "opensnoop", "mine");
    EXPECT_EQ(run({"--install", dir.path()}).status, 2);
    EXPECT_EQ(read_file(dir / "opensnoop"), "mine");
}

// Nothing in it but the program: as in a container image FROM scratch.
TEST(Kit, RunsInAnEmptyRoot)
{
    TempDir root;
    ASSERT_EQ(shell("cd " + root.path() + " && mkdir -p proc sys usr/sbin && " +
                    "cp /usr/sbin/corebox usr/sbin/")
                  .status,
              0);
    in_namespaces(0, [&] {
        for (const char* fs : {"/proc", "/sys"})
            ASSERT_EQ(::mount(fs, (root.path() + fs).c_str(), nullptr, MS_BIND | MS_REC, nullptr),
                      0);
        const BeforeExec enter = [&] {
            if (::chroot(root.path().c_str()) != 0 || ::chdir("/") != 0)
                ::_exit(99);
        };
        Child child([] { open_missing("/no/such/file"); });
        const pid_t pid = child.pid();
        Tracer tracer({"opensnoop", "--json", "-p", to_string(pid)}, {}, enter);
        child.go_wait();
        const Result result = tracer.wait();
        EXPECT_EQ(result.status, 0) << result.err;
        EXPECT_EQ(with(result.records, "path", "/no/such/file").size(), 1u) << result.out;
        EXPECT_EQ(run({"doctor", "opensnoop"}, {}, enter).status, 0);
        // One of each shape: a histogram, a table, counters, stacks, calls, a list.
        for (const auto& argv : std::vector<std::vector<std::string>>{
                 {"biolatency", "--json", "--duration", "0.2"},
                 {"filetop", "--json", "0.2", "1"},
                 {"vfsstat", "--json", "0.2", "1"},
                 {"offcputime", "--json", "--duration", "0.2"},
                 {"funclatency", "--json", "--duration", "0.2", "vfs_read"},
                 {"execsnoop", "--json", "--duration", "0.2"},
                 {"tplist", "--json", "sched:*"}}) {
            const Result r = run(argv, {}, enter);
            EXPECT_EQ(r.status, 0) << argv[0] << "\n" << r.err;
            if (argv[0] == "tplist")
                EXPECT_GT(r.records.size(), 10u);
            else
                expect_exact(r);
        }
    });
}

TEST(Kit, ClosedStandardStreams)
{
    // What the tool opens must not become its standard output.
    const Result result = run({"opensnoop", "--duration", "0.2"}, {}, [] { ::close(1); });
    EXPECT_EQ(result.status, 4) << result.err;
    const Result check = run({"opensnoop", "--check"}, {}, [] {
        ::close(0);
        ::close(1);
        ::close(2);
    });
    EXPECT_EQ(check.status, 0);
}

} // namespace
