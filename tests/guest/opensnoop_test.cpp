// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "direct_call.hpp"
#include "harness.hpp"
#include "waits.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/openat2.h>
#include <set>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr int kFlood = 4'000;

int open_file(const std::string& path, int flags = O_RDONLY, unsigned mode = 0)
{
    return int(::syscall(SYS_openat, AT_FDCWD, path.c_str(), flags, mode));
}

void expect_open(const std::string& path, int flags = O_RDONLY, unsigned mode = 0)
{
    const int fd = open_file(path, flags, mode);
    EXPECT_GE(fd, 0) << path;
    ::close(fd);
}

void expect_refused(const std::string& path, int flags = O_RDONLY)
{
    EXPECT_EQ(open_file(path, flags), -1) << path;
}

std::vector<std::string> paths(const Records& records)
{
    std::vector<std::string> found;
    for (const Json& record : records)
        found.push_back(record.at("path"));
    return found;
}

using Paths = std::vector<std::string>;

// Runs opensnoop --json ARGUMENTS -p CHILD over `work` in one child, to the child's end.
Result trace(const std::vector<std::string>& arguments, const std::function<void()>& work,
             const Environment& env = {}, bool json = true)
{
    return watch("opensnoop", arguments, work, {.env = env, .json = json});
}

Result trace_text(const std::vector<std::string>& arguments, const std::function<void()>& work)
{
    return trace(arguments, work, {}, false);
}

// --- Every rung sees the same opens. The empty name is what the ladder itself takes.

class OpensnoopRung : public EachRung
{
protected:
    bool ordered() const { return !std::string_view(GetParam()).ends_with("perf_buffer"); }
};

INSTANTIATE_TEST_SUITE_P(Rungs, OpensnoopRung,
                         testing::Values("", "fexit", "tracepoint", "kprobe", "perf_buffer",
                                         "tracepoint,perf_buffer"),
                         rung_name);

TEST_P(OpensnoopRung, IsTheOneTaken)
{
    const Result result = run({"opensnoop", "--check", "--explain"}, env());
    EXPECT_EQ(result.status, 0);
    std::string taken = *GetParam() ? GetParam() : "fexit"; // all four kernels can
    taken = taken == "perf_buffer" ? "fexit" : taken.substr(0, taken.find(','));
    EXPECT_NE(result.err.find("  " + taken + ": taken\n"), std::string::npos) << result.err;
}

struct Expected {
    std::string path;
    int err;
    unsigned flags;
    int mode; // -1: none
};

TEST_P(OpensnoopRung, ShowsExactlyTheOpensOfAProcess)
{
    TempDir dir;
    write_file(dir / "file", "x");
    std::vector<Expected> expected;
    for (int i = 0; i < 10; i++)
        expected.push_back({dir / ("new" + to_string(i)), 0, O_WRONLY | O_CREAT | O_TRUNC, 0640});
    for (int i = 0; i < 6; i++)
        expected.push_back({dir / "file", 0, i % 2 ? unsigned(O_RDWR) : unsigned(O_RDONLY), -1});
    expected.push_back({dir / "missing", ENOENT, O_RDONLY, -1});
    expected.push_back({dir / "file", EEXIST, O_WRONLY | O_CREAT | O_EXCL, 0600});
    expected.push_back({dir / "file/below", ENOTDIR, O_RDONLY, -1});
    expected.push_back({dir.path(), EISDIR, O_WRONLY, -1});
    expected.push_back({dir / std::string(300, 'n'), ENAMETOOLONG, O_RDONLY, -1});
    expected.push_back({dir / "missing", ENOENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC, -1});
    expected.push_back({"", ENOENT, O_RDONLY, -1});
    ASSERT_EQ(expected.size(), 23u); // a prime: no doubling or batching can hit it by accident

    Child child([&] {
        for (const Expected& e : expected) {
            const int fd = open_file(e.path, int(e.flags), e.mode < 0 ? 0 : unsigned(e.mode));
            EXPECT_EQ(fd < 0 ? errno : 0, e.err) << e.path;
            if (fd >= 0)
                ::close(fd);
        }
    });
    timespec before{};
    clock_gettime(CLOCK_REALTIME, &before);
    const pid_t pid = child.pid();
    Tracer tracer({"opensnoop", "--json", "-p", to_string(pid)}, env());
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    expect_exact(result);
    EXPECT_EQ(result.account["printed"], 23);

    Records records = result.records;
    ASSERT_EQ(records.size(), expected.size());
    // Perf buffers are one a CPU: their order is by time stamp only.
    if (!ordered())
        std::ranges::stable_sort(
            records, {}, [](const Json& r) { return r.at("time_ns").get<std::uint64_t>(); });
    std::uint64_t last = std::uint64_t(before.tv_sec) * 1'000'000'000;
    const int a_descriptor = records[0].at("fd"); // closed each time, so always the same
    EXPECT_GT(a_descriptor, 2);
    for (std::size_t i = 0; i < expected.size(); i++) {
        const Expected& e = expected[i];
        const Json& r = records[i];
        EXPECT_EQ(r.at("path"), e.path);
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("tid"), r.at("pid"));
        EXPECT_EQ(r.at("uid"), 0);
        EXPECT_EQ(r.at("comm"), "guest_tests");
        EXPECT_EQ(r.at("err"), e.err) << e.path;
        EXPECT_EQ(r.at("error"), e.err ? strerrorname_np(e.err) : "");
        EXPECT_EQ(r.at("fd"), e.err ? -1 : a_descriptor);
        EXPECT_EQ(r.at("flags"), e.flags) << e.path;
        EXPECT_EQ(r.at("mode"), e.mode < 0 ? Json() : Json(e.mode)) << e.path;
        const std::uint64_t time = r.at("time_ns");
        EXPECT_GE(time, last);
        last = time;
    }
}

TEST_P(OpensnoopRung, SeesAllFourSystemCalls)
{
#ifdef SYS_open
    constexpr bool kOldCalls = true;
    const auto old_calls = [](const char* open, const char* creat) {
        EXPECT_GE(::syscall(SYS_open, open, O_WRONLY | O_CREAT, 0601), 0);
        EXPECT_GE(::syscall(SYS_creat, creat, 0602), 0);
    };
#else // arm64
    constexpr bool kOldCalls = false;
    const auto old_calls = [](const char*, const char*) {};
#endif
    TempDir dir;
    const Result result = trace(
        {},
        [&] {
            open_how how{};
            how.flags = O_RDWR | O_CREAT;
            how.mode = 0604;
            how.resolve = RESOLVE_NO_SYMLINKS;
            old_calls((dir / "a").c_str(), (dir / "b").c_str());
            EXPECT_GE(
                ::syscall(SYS_openat, AT_FDCWD, (dir / "c").c_str(), O_RDONLY | O_CREAT, 0603), 0);
            EXPECT_GE(::syscall(SYS_openat2, AT_FDCWD, (dir / "d").c_str(), &how, sizeof how), 0);
            // What fails before the kernel has an address to read.
            EXPECT_EQ(::syscall(SYS_openat, AT_FDCWD, 8, O_RDONLY), -1);
        },
        env());
    expect_exact(result);
    ASSERT_EQ(result.records.size(), kOldCalls ? 5u : 3u);
    const auto shown = [&](std::size_t i, const std::string& path, unsigned flags, int mode) {
        const Records found = with(result.records, "path", path);
        ASSERT_EQ(found.size(), 1u) << path;
        EXPECT_EQ(found[0].at("flags"), flags) << i;
        EXPECT_EQ(found[0].at("mode"), mode) << i;
        EXPECT_EQ(found[0].at("err"), 0) << i;
    };
    if (kOldCalls) {
        shown(0, dir / "a", O_WRONLY | O_CREAT, 0601);
        shown(1, dir / "b", O_WRONLY | O_CREAT | O_TRUNC, 0602);
    }
    shown(2, dir / "c", O_RDONLY | O_CREAT, 0603);
    shown(3, dir / "d", O_RDWR | O_CREAT, 0604);
    const Records fault = with(result.records, "err", EFAULT);
    ASSERT_EQ(fault.size(), 1u);
    EXPECT_EQ(fault[0].at("path"), "");
}

TEST_P(OpensnoopRung, FullPathOfRelativeNames)
{
    TempDir dir;
    // Over 1 KB and 40 components below a directory of its own: 40 x 30 bytes.
    std::string deep = dir.path();
    for (int i = 0; i < 40; i++) {
        deep += "/component-" + to_string(i) + "-" + std::string(18, 'x');
        ASSERT_EQ(::mkdir(deep.c_str(), 0755), 0);
    }
    ASSERT_GT(deep.size(), 1024u);
    write_file(deep + "/leaf", "x");
    ASSERT_EQ(::mkdir((dir / "other").c_str(), 0755), 0);
    write_file(dir / "other/file", "x");
    // A file system mounted below: the walk crosses from its root to where it is mounted.
    ASSERT_EQ(::mkdir((dir / "mounted").c_str(), 0755), 0);
    ASSERT_EQ(::mount("tmpfs", (dir / "mounted").c_str(), "tmpfs", 0, nullptr), 0);
    ASSERT_EQ(::mkdir((dir / "mounted/sub").c_str(), 0755), 0);
    write_file(dir / "mounted/sub/file", "x");
    const int other = ::open((dir / "other").c_str(), O_RDONLY | O_DIRECTORY);
    const int regular = ::open((dir / "other/file").c_str(), O_RDONLY);

    const Result result = trace(
        {"-F"},
        [&] {
            EXPECT_EQ(::chdir(deep.c_str()), 0);
            expect_open("leaf");
            EXPECT_GE(::openat(other, "file", O_RDONLY), 0);
            EXPECT_EQ(::openat(other, "none", O_RDONLY), -1);
            EXPECT_EQ(::openat(regular, "no-directory", O_RDONLY), -1);
            EXPECT_EQ(::openat(987, "no-descriptor", O_RDONLY), -1);
            expect_open(dir / "other/file");
            EXPECT_GE(::openat(other, (dir / "other/file").c_str(), O_RDONLY), 0);
            EXPECT_EQ(::chdir((dir / "mounted/sub").c_str()), 0);
            expect_open("file");
            expect_open("./../sub/file");
            EXPECT_EQ(::chdir("/"), 0);
            expect_refused("under-root");
        },
        env());
    ::close(other);
    ::close(regular);
    ::umount(std::string(dir / "mounted").c_str());
    expect_exact(result);
    Paths expected{deep + "/leaf",
                   dir / "other/file",
                   dir / "other/none",
                   dir / "other/file/no-directory",
                   "no-descriptor",
                   dir / "other/file",
                   dir / "other/file",
                   dir / "mounted/sub/file",
                   dir / "mounted/sub/./../sub/file",
                   "/under-root"};
    Paths shown = paths(result.records);
    if (!ordered()) {
        std::ranges::sort(expected);
        std::ranges::sort(shown);
    }
    EXPECT_EQ(shown, expected);
}

// A perf buffer of 512 KiB a CPU may overflow where the host lends the reader no CPU for long; then
// it is the account that has to be right.
TEST_P(OpensnoopRung, FloodLosesNothing)
{
    const Result result = trace(
        {},
        [] {
            for (int i = 0; i < kFlood; i++)
                ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
        },
        env());
    const int lost = ordered() ? 0 : result.account.value("lost_buffer", 0);
    EXPECT_EQ(result.status, lost ? 3 : 0) << result.err;
    EXPECT_EQ(result.account.value("seen", 0), kFlood);
    EXPECT_EQ(result.account.value("filtered", 0), 0);
    EXPECT_EQ(result.account.value("lost", 0), lost) << result.account;
    EXPECT_EQ(result.account.value("printed", 0), kFlood - lost);
    EXPECT_EQ(result.records.size(), std::size_t(kFlood - lost));
    EXPECT_EQ(with(result.records, "path", "/no/such/file").size(), std::size_t(kFlood - lost));
}

// The tool stands still while the flood comes: what does not fit is lost, and counted to the one.
TEST_P(OpensnoopRung, FloodOfATinyBufferIsAccountedExactly)
{
    Child child([] {
        for (int i = 0; i < kFlood; i++)
            ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
    });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid()), "--buffer-size", "4"},
                  env());
    tracer.kill(SIGSTOP);
    child.go_wait();
    tracer.kill(SIGCONT);
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 3) << result.err;
    const auto number = [&](const char* key) { return result.account.value(key, 0); };
    EXPECT_EQ(number("seen"), kFlood) << result.account;
    EXPECT_EQ(number("printed") + number("filtered") + number("lost"), kFlood) << result.account;
    EXPECT_EQ(number("printed"), int(result.records.size()));
    EXPECT_GT(number("printed"), 0);
    EXPECT_GT(number("lost"), kFlood / 2);
    EXPECT_EQ(number("lost_buffer"), number("lost"));
    EXPECT_NE(result.err.find(" lost ("), std::string::npos) << result.err;
}

TEST(Opensnoop, FloodWithATinyBufferWhileReading)
{
    const Result result = trace({"--buffer-size", "4"}, [] {
        for (int i = 0; i < kFlood; i++)
            ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
    });
    const auto number = [&](const char* key) { return result.account.value(key, 0); };
    EXPECT_EQ(number("printed") + number("filtered") + number("lost"), kFlood) << result.account;
    EXPECT_EQ(number("printed"), int(result.records.size()));
    EXPECT_EQ(result.status, number("lost") ? 3 : 0);
}

// As the incumbents are run: text, everyone traced, nothing given.
TEST(Opensnoop, FloodInTextWithDefaults)
{
    Child child([] {
        for (int i = 0; i < kFlood; i++)
            ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
    });
    Tracer tracer({"opensnoop"});
    child.go_wait();
    const Result result = tracer.stop();
    EXPECT_EQ(result.status, 0) << result.err;
    int shown = 0;
    for (const std::string& line : lines(result.out))
        shown += line.ends_with(" /no/such/file");
    EXPECT_EQ(shown, kFlood);
    EXPECT_NE(result.err.find(" + 0 lost\n"), std::string::npos) << result.err;
}

// Two processes at once, each on its own CPU where there are two.
TEST_P(OpensnoopRung, FloodOfTwoProcesses)
{
    const auto flood = [] {
        for (int i = 0; i < kFlood / 2; i++)
            ::syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
    };
    Child one(flood), two(flood);
    const pid_t first = one.pid(), second = two.pid();
    Tracer tracer({"opensnoop", "--json", "-p", to_string(first) + "," + to_string(second)}, env());
    one.go();
    two.go();
    EXPECT_EQ(one.wait(), 0);
    EXPECT_EQ(two.wait(), 0);
    const Result result = tracer.wait();
    const std::uint64_t seen = result.account["seen"], lost = result.account["lost"];
    const std::uint64_t nested = result.account["lost_nested"],
                        full = result.account["lost_buffer"],
                        returns = result.account["lost_return"];
    const std::size_t shown =
        with(result.records, "pid", first).size() + with(result.records, "pid", second).size();
    // Where the kernel preempts itself, a process may be switched away inside a program of a
    // trampoline or a tracepoint. Until it runs again, the kernel skips that program on that CPU
    // for all others, and counts that. Only kprobes run with preemption off.
    const std::string_view rung = GetParam();
    if (!preempts_itself() || rung == "kprobe") {
        EXPECT_EQ(nested, 0u) << result.account;
    }
    // Whatever is lost is said, to the one.
    EXPECT_EQ(seen, std::uint64_t(kFlood)) << result.account;
    EXPECT_EQ(shown + lost, std::uint64_t(kFlood)) << result.account;
    EXPECT_EQ(result.status, lost ? 3 : 0) << result.err;
    EXPECT_EQ(lost, nested + full + returns) << result.account;
    // One CPU without kernel preemption gives a kretprobe one place for a call under way; and a
    // tracepoint's program that was skipped at the call's end has had its beginning.
    if (rung != "kprobe" && (!preempts_itself() || !rung.starts_with("tracepoint"))) {
        EXPECT_EQ(returns, 0u) << result.account;
    }
    if (ordered()) {
        EXPECT_EQ(full, 0u) << result.account;
    }
}

// --- Who is traced.

TEST(Opensnoop, PidOfOthersIsNotShown)
{
    TempDir dir;
    Child traced([&] { expect_refused(dir / "traced"); });
    Child other([&] { expect_refused(dir / "other"); });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(traced.pid())});
    other.go_wait();
    traced.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(paths(result.records), Paths{dir / "traced"});
    expect_exact(result);
    EXPECT_GE(result.account.value("filtered", 0), 1);
}

TEST(Opensnoop, PidLists)
{
    TempDir dir;
    Child one([&] { expect_refused(dir / "one"); });
    Child two([&] { expect_refused(dir / "two"); });
    Child three([&] { expect_refused(dir / "three"); });
    Child other([&] { expect_refused(dir / "other"); });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(one.pid()) + "," + to_string(two.pid()),
                   "--pid=" + to_string(three.pid())});
    one.go_wait(); // the run goes on while one target lives
    other.go_wait();
    two.go_wait();
    three.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(paths(result.records), (Paths{dir / "one", dir / "two", dir / "three"}));
    expect_exact(result);
}

TEST(Opensnoop, Threads)
{
    TempDir dir;
    // The thread has to live before the tool starts, so that its ID can be given.
    auto* tid = static_cast<volatile pid_t*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    Gate gate;
    Child child([&] {
        std::thread thread([&] {
            *tid = pid_t(::syscall(SYS_gettid));
            gate.wait();
            expect_refused(dir / "thread");
        });
        expect_refused(dir / "main-before");
        thread.join();
        expect_refused(dir / "main");
    });
    child.go();
    ASSERT_TRUE(wait_until([&] { return *tid != 0; }));
    const pid_t pid = child.pid();
    {
        Tracer tracer({"opensnoop", "-t", to_string(*tid), "--json"});
        Tracer text({"opensnoop", "-t", to_string(*tid)});
        Tracer whole({"opensnoop", "-p", to_string(pid), "--json"});
        gate.open();
        EXPECT_EQ(child.wait(), 0);
        const Result result = tracer.wait(); // ends with its thread
        EXPECT_EQ(result.status, 0);
        ASSERT_EQ(paths(result.records), Paths{dir / "thread"});
        EXPECT_EQ(result.records[0].at("tid"), pid_t(*tid));
        EXPECT_EQ(result.records[0].at("pid"), pid);
        expect_exact(result);
        // BCC: with -t the PID column is TID.
        const Result shown = text.wait();
        const auto rows = lines(shown.out);
        ASSERT_EQ(rows.size(), 2u) << shown.out;
        EXPECT_EQ(words(rows[0])[0], "TID");
        EXPECT_EQ(words(rows[1])[0], to_string(*tid));
        // -p shows all threads of the process.
        EXPECT_EQ(paths(whole.wait().records), (Paths{dir / "thread", dir / "main"}));
    }
}

TEST(Opensnoop, Users)
{
    TempDir dir;
    for (const char* user : {"1000", "user"}) {
        Child traced([&] {
            become_user();
            expect_refused(dir / "user");
        });
        Child root([&] { expect_refused(dir / "root"); });
        Tracer tracer({"opensnoop", "--json", "-u", user});
        const pid_t pid = traced.pid();
        root.go_wait();
        traced.go_wait();
        const Result result = tracer.stop();
        EXPECT_EQ(paths(result.records), Paths{dir / "user"}) << user;
        for (const Json& record : result.records) {
            EXPECT_EQ(record.at("uid"), 1000);
            EXPECT_EQ(record.at("pid"), pid);
        }
        expect_exact(result);
    }
    // Uid 0 is a user like any other, not "no filter".
    Child user([&] {
        become_user();
        expect_refused(dir / "user");
    });
    Child root([&] { expect_refused(dir / "root"); });
    Tracer tracer({"opensnoop", "--json", "--uid", "0"});
    user.go_wait();
    root.go_wait();
    const Result result = tracer.stop();
    const Paths shown = paths(result.records);
    EXPECT_EQ(std::ranges::count(shown, dir / "user"), 0);
    EXPECT_EQ(std::ranges::count(shown, dir / "root"), 1);
    EXPECT_EQ(run({"opensnoop", "-u", "nosuchuser"}).status, 1);
}

TEST(Opensnoop, CommIsTheWholeName)
{
    TempDir dir;
    const auto as = [&](const char* name) {
        return [&dir, name] {
            ::prctl(PR_SET_NAME, name);
            expect_refused(dir / name);
        };
    };
    Child needle(as("needle")), longer(as("needles")), shorter(as("needl"));
    Tracer tracer({"opensnoop", "--json", "--comm", "needle"});
    longer.go_wait();
    shorter.go_wait();
    needle.go_wait();
    const Result result = tracer.stop();
    EXPECT_EQ(paths(result.records), Paths{dir / "needle"});
    expect_exact(result);
    // What no command can be called is no filter that silently shows nothing.
    EXPECT_EQ(run({"opensnoop", "--comm", "sixteen-letters!"}).status, 1);
}

TEST(Opensnoop, ChildrenOfAProcess)
{
    TempDir dir;
    Child parent([&] {
        expect_refused(dir / "parent");
        const pid_t pid = ::fork();
        if (pid == 0) {
            expect_refused(dir / "child");
            if (const pid_t grandchild = ::fork(); grandchild == 0) {
                expect_refused(dir / "grandchild");
                ::_exit(0);
            } else {
                ::waitpid(grandchild, nullptr, 0);
            }
            ::_exit(0);
        }
        ::waitpid(pid, nullptr, 0);
    });
    Child other([&] { expect_refused(dir / "other"); });
    Tracer tracer({"opensnoop", "--json", "--ppid", to_string(parent.pid())});
    other.go_wait();
    parent.go_wait();
    const Result result = tracer.stop();
    EXPECT_EQ(paths(result.records), Paths{dir / "child"});
    expect_exact(result);
}

TEST(Opensnoop, CgroupAndAllBelowIt)
{
    TempDir dir;
    Cgroup traced("traced"), below("traced/below"), deep("traced/below/deep"), beside("beside");
    const auto in = [&](const Cgroup& cgroup, const char* name) {
        return [&dir, &cgroup, name] {
            cgroup.enter();
            expect_refused(dir / name);
        };
    };
    for (const std::string& path : {traced.path(), std::string("traced")}) {
        Child a(in(traced, "traced")), b(in(below, "below")), c(in(deep, "deep")),
            d(in(beside, "beside")), e([&] { expect_refused(dir / "root"); });
        Tracer tracer({"opensnoop", "--json", "--cgroup", path, "-x"});
        for (Child* child : {&a, &b, &c, &d, &e})
            child->go_wait();
        const Result result = tracer.stop();
        EXPECT_EQ(paths(result.records), (Paths{dir / "traced", dir / "below", dir / "deep"}));
        expect_exact(result);
    }
    const Result none = run({"opensnoop", "--cgroup", "/sys/fs/cgroup/none"});
    EXPECT_EQ(none.status, 2);
    EXPECT_EQ(lines(none.err).size(), 1u) << none.err;
    EXPECT_EQ(run({"opensnoop", "--cgroup", "/tmp"}).status, 2);
}

// A hash map pinned as BCC's documentation tells: u64 to u64, the key is what is traced.
class PinnedMap
{
public:
    PinnedMap(const std::string& name, std::uint64_t key, std::uint32_t key_size = 8)
        : path_("/sys/fs/bpf/" + name),
          fd_(bpf_map_create(BPF_MAP_TYPE_HASH, name.c_str(), key_size, 8, 128, nullptr))
    {
        const std::uint64_t value = 1;
        EXPECT_GE(fd_, 0) << errno;
        EXPECT_EQ(bpf_map_update_elem(fd_, &key, &value, BPF_ANY), 0);
        EXPECT_EQ(bpf_obj_pin(fd_, path_.c_str()), 0) << errno;
    }
    ~PinnedMap()
    {
        ::unlink(path_.c_str());
        ::close(fd_);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
    int fd_;
};

TEST(Opensnoop, CgroupMap)
{
    TempDir dir;
    Cgroup traced("mapped"), beside("unmapped");
    PinnedMap map("cgroups", traced.id());
    Child a([&] {
        traced.enter();
        expect_refused(dir / "traced");
    });
    Child b([&] {
        beside.enter();
        expect_refused(dir / "beside");
    });
    Tracer tracer({"opensnoop", "--json", "--cgroupmap", map.path(), "-x"});
    b.go_wait();
    a.go_wait();
    const Result result = tracer.stop();
    EXPECT_EQ(paths(result.records), Paths{dir / "traced"});
    expect_exact(result);
}

TEST(Opensnoop, MountNamespaceMap)
{
    TempDir dir;
    auto* inode = static_cast<volatile ino_t*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    Gate gate;
    Child traced([&] {
        EXPECT_EQ(::unshare(CLONE_NEWNS), 0);
        struct stat st {
        };
        EXPECT_EQ(::stat("/proc/self/ns/mnt", &st), 0);
        *inode = st.st_ino;
        gate.wait();
        expect_refused(dir / "traced");
    });
    traced.go();
    ASSERT_TRUE(wait_until([&] { return *inode != 0; }));
    PinnedMap map("namespaces", *inode);
    Child other([&] { expect_refused(dir / "other"); });
    Tracer tracer({"opensnoop", "--json", "--mntnsmap", map.path()});
    other.go_wait();
    gate.open();
    EXPECT_EQ(traced.wait(), 0);
    const Result result = tracer.stop();
    EXPECT_EQ(paths(result.records), Paths{dir / "traced"});
    expect_exact(result);
}

TEST(Opensnoop, MapsThatAreNone)
{
    PinnedMap narrow("narrow", 1, 4);
    for (const std::string& path :
         {std::string("/sys/fs/bpf/none"), std::string("/etc/passwd"), narrow.path()})
        for (const char* option : {"--cgroupmap", "--mntnsmap"}) {
            const Result result = run({"opensnoop", option, path});
            EXPECT_EQ(result.status, 2) << option << path;
            EXPECT_EQ(lines(result.err).size(), 1u) << result.err;
        }
}

TEST(Opensnoop, CommandAndItsTreeOnly)
{
    TempDir dir;
    Child other([&] {
        for (int i = 0; i < 50; i++) {
            expect_refused(dir / "other");
            ::usleep(20'000);
        }
    });
    other.go();
    // A grandchild in the background that outlives its parent, and a child.
    const Result result = run({"opensnoop", "--json", "-x", "--", "sh", "-c",
                               "cat " + (dir / "child") + " 2>/dev/null; (sh -c 'cat " +
                                   (dir / "grandchild") + "; true' 2>/dev/null; true); exit 7"});
    EXPECT_EQ(result.status, 0) << result.err;
    Paths shown = paths(result.records);
    EXPECT_EQ(std::ranges::count(shown, dir / "child"), 1);
    EXPECT_EQ(std::ranges::count(shown, dir / "grandchild"), 1);
    EXPECT_EQ(std::ranges::count(shown, dir / "other"), 0);
    for (const Json& record : result.records)
        EXPECT_TRUE(record.at("comm") == "sh" || record.at("comm") == "cat") << record;
    expect_exact(result);
    // BCC's spelling.
    const Result exec = run({"opensnoop", "--json", "--exec", "cat", dir / "by-exec"});
    EXPECT_EQ(with(exec.records, "path", dir / "by-exec").size(), 1u);
    EXPECT_EQ(run({"opensnoop", "--"}).status, 1);
}

// A map of the tool that runs, by its name.
struct ToolMap {
    int fd = -1;
    bpf_map_info info{};

    explicit ToolMap(std::string_view name)
    {
        for (__u32 id = 0; fd < 0 && ::bpf_map_get_next_id(id, &id) == 0;) {
            const int found = ::bpf_map_get_fd_by_id(id);
            __u32 size = sizeof info;
            if (found >= 0 && ::bpf_obj_get_info_by_fd(found, &info, &size) == 0 &&
                info.name == name)
                fd = found;
            else
                ::close(found);
        }
        EXPECT_GE(fd, 0) << name;
    }
    ~ToolMap() { ::close(fd); }
    ToolMap(const ToolMap&) = delete;
    ToolMap& operator=(const ToolMap&) = delete;

    std::size_t entries() const
    {
        std::vector<char> key(info.key_size), next(info.key_size);
        std::size_t n = 0;
        for (void* at = nullptr; ::bpf_map_get_next_key(fd, at, next.data()) == 0; n++) {
            key = next;
            at = key.data();
        }
        return n;
    }
};

// In a namespace the kernel takes a process's number away before it frees it.
TEST(Opensnoop, CommandsTreeForgetsTheDead)
{
    const auto traced = [] {
        TempDir dir;
        Tracer tracer({"opensnoop", "--json", "-x", "--", "sh", "-c",
                       "i=0; while [ $i -lt 307 ]; do (:); i=$((i+1)); done; cat " +
                           (dir / "last") + " 2>/dev/null; : >" + (dir / "done") +
                           "; while [ ! -e " + (dir / "go") + " ]; do sleep 0.1; done"});
        EXPECT_TRUE(wait_until([&] { return ::access((dir / "done").c_str(), F_OK) == 0; }));
        const ToolMap ids("cb_filter_ids");
        EXPECT_TRUE(wait_until([&] { return ids.entries() < 11; })) << ids.entries();
        EXPECT_GE(ids.entries(), 1u); // the command itself
        write_file(dir / "go", "");
        const Result result = tracer.wait();
        EXPECT_EQ(with(result.records, "path", dir / "last").size(), 1u) << result.out;
        expect_exact(result);
    };
    traced();
    in_namespaces(CLONE_NEWPID, traced);
}

TEST(Opensnoop, CommandThatDoesNotExist)
{
    const Result result = run({"opensnoop", "--json", "--", "/no/such/command"});
    EXPECT_NE(result.err.find("/no/such/command: No such file"), std::string::npos) << result.err;
}

// --- Paths that are not whole.

TEST(Opensnoop, PathsThatWereCutSaySo)
{
    TempDir dir;
    const std::string longest = "/" + std::string(4094, 'n'); // and the NUL: PATH_MAX
    const std::string longer = "/" + std::string(5000, 'n');
    for (const char* rung : {"fexit", "tracepoint", "kprobe"}) {
        const Result result = trace({"-F"},
                                    [&] {
                                        expect_refused(longest);
                                        expect_refused(longer);
                                        EXPECT_EQ(::chdir(dir.path().c_str()), 0);
                                        expect_refused(longer.substr(1));
                                    },
                                    {{"COREBOX_PROBES", rung}});
        EXPECT_EQ(paths(result.records), (Paths{longest, "/" + std::string(4094, 'n') + "...",
                                                dir / std::string(4095, 'n') + "..."}))
            << rung;
        expect_exact(result);
    }
}

// As where a program preempts one that walks and that preempted another.
TEST(Opensnoop, DirectoriesThatCouldNotBeWalkedSaySo)
{
    TempDir dir;
    ASSERT_EQ(::mkdir((dir / "sub").c_str(), 0755), 0);
    Child child([&] {
        EXPECT_EQ(::chdir((dir / "sub").c_str()), 0);
        expect_refused("missing");
        EXPECT_EQ(::chdir("/"), 0);
        expect_refused("missing");
    });
    Tracer tracer({"opensnoop", "-F", "--json", "-p", to_string(child.pid())});
    {
        const ToolMap walkers("cb_path_walkers");
        const int all_cpus = ::libbpf_num_possible_cpus();
        ASSERT_GT(all_cpus, 0);
        const std::vector<char> busy((walkers.info.value_size + 7) / 8 * 8 * unsigned(all_cpus), 1);
        for (__u32 slot = 0; slot < walkers.info.max_entries; slot++)
            EXPECT_EQ(::bpf_map_update_elem(walkers.fd, &slot, busy.data(), BPF_ANY), 0);
    }
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(paths(result.records), (Paths{".../sub/missing", ".../missing"}));
    expect_exact(result);
}

// --- Options.

// libbpf's opensnoop ends with an error at the first open that -n does not name.
TEST(Opensnoop, NameFiltersAndDoesNotEndTheRun)
{
    TempDir dir;
    Child child([&] {
        expect_refused(dir / "1");
        ::prctl(PR_SET_NAME, "a-needle-here");
        expect_refused(dir / "2");
        ::prctl(PR_SET_NAME, "nothing");
        expect_refused(dir / "3");
        ::prctl(PR_SET_NAME, "needle");
        expect_refused(dir / "4");
    });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid()), "-n", "needle"});
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(paths(result.records), (Paths{dir / "2", dir / "4"}));
    expect_exact(result);
    EXPECT_GE(result.account.value("filtered", 0), 2);
}

TEST(Opensnoop, FailedOnly)
{
    TempDir dir;
    write_file(dir / "file", "x");
    for (const char* rung : {"fexit", "tracepoint", "kprobe"}) {
        const Result result = trace({"-x"},
                                    [&] {
                                        expect_open(dir / "file");
                                        expect_refused(dir / "missing");
                                        expect_open(dir / "file");
                                    },
                                    {{"COREBOX_PROBES", rung}});
        EXPECT_EQ(paths(result.records), Paths{dir / "missing"}) << rung;
        expect_exact(result);
    }
}

TEST(Opensnoop, FlagFilter)
{
    TempDir dir;
    write_file(dir / "file", "x");
    const auto work = [&] {
        expect_open(dir / "file", O_RDONLY);
        expect_open(dir / "created", O_WRONLY | O_CREAT, 0600);
        expect_open(dir / "file", O_RDWR | O_TRUNC);
        expect_open(dir / "file", O_WRONLY | O_APPEND);
    };
    for (const char* rung : {"fexit", "tracepoint", "kprobe"}) {
        const Environment env{{"COREBOX_PROBES", rung}};
        const Result one = trace({"-f", "O_CREAT"}, work, env);
        EXPECT_EQ(paths(one.records), Paths{dir / "created"}) << rung;
        const Result two = trace({"-f", "O_TRUNC", "--flag_filter", "O_APPEND"}, work, env);
        ASSERT_EQ(two.records.size(), 2u) << rung;
        EXPECT_EQ(two.records[0].at("flags"), O_RDWR | O_TRUNC);
        EXPECT_EQ(two.records[1].at("flags"), O_WRONLY | O_APPEND);
        expect_exact(two);
    }
    EXPECT_EQ(run({"opensnoop", "-f", "O_RDONLY"}).status, 1);
    EXPECT_EQ(run({"opensnoop", "-f", "O_NONSENSE"}).status, 1);
}

TEST(Opensnoop, TextColumns)
{
    TempDir dir;
    const auto work = [&] {
        expect_open(dir / "created", O_WRONLY | O_CREAT, 0640);
        expect_refused(dir / "missing");
    };
    const auto table = [&](const std::vector<std::string>& arguments) {
        const Result result = trace_text(arguments, work);
        EXPECT_EQ(result.status, 0) << result.err;
        std::vector<std::vector<std::string>> rows;
        for (const std::string& line : lines(result.out))
            rows.push_back(words(line));
        EXPECT_EQ(rows.size(), 3u) << result.out;
        rows.resize(3);
        return rows;
    };
    using Row = std::vector<std::string>;
    const auto plain = table({});
    EXPECT_EQ(plain[0], (Row{"PID", "COMM", "FD", "ERR", "PATH"}));
    ASSERT_EQ(plain[1].size(), 5u);
    EXPECT_EQ(plain[1][1], "guest_tests");
    EXPECT_EQ(plain[1][3], "0");
    EXPECT_EQ(plain[1][4], dir / "created");
    EXPECT_EQ(Row(plain[2].begin() + 2, plain[2].end()), (Row{"-1", "2", dir / "missing"}));

    const auto all = table({"-T", "-U", "-e"});
    EXPECT_EQ(all[0], (Row{"TIME(s)", "UID", "PID", "COMM", "FD", "ERR", "FLAGS", "MODE", "PATH"}));
    ASSERT_EQ(all[1].size(), 9u);
    ASSERT_EQ(all[2].size(), 9u);
    EXPECT_EQ(all[1][0], "0.000000000"); // BCC: since the first event
    EXPECT_EQ(all[2][0].size(), 11u) << all[2][0];
    EXPECT_GE(all[2][0], all[1][0]);
    EXPECT_EQ(all[1][1], "0");
    EXPECT_EQ(all[1][6], "00000101");
    EXPECT_EQ(all[1][7], "0640");
    EXPECT_EQ(all[2][6], "00000000");
    EXPECT_EQ(all[2][7], "n/a");
    EXPECT_EQ(table({"--extended_fields"})[0], table({"--extended-fields"})[0]);
}

TEST(Opensnoop, ChosenColumns)
{
    TempDir dir;
    const auto work = [&] { expect_refused(dir / "missing"); };
    const Result json = trace({"--columns", "path,err"}, work);
    ASSERT_EQ(json.records.size(), 1u);
    EXPECT_EQ(json.records[0], (Json{{"path", dir / "missing"}, {"err", 2}}));
    const Result text = trace_text({"--columns", "path,error,comm"}, work);
    const auto rows = lines(text.out);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(words(rows[0]), (std::vector<std::string>{"PATH", "ERROR", "COMM"}));
    EXPECT_EQ(words(rows[1]), (std::vector<std::string>{dir / "missing", "ENOENT", "guest_tests"}));
    const Result wrong = run({"opensnoop", "--columns", "path,nonsense"});
    EXPECT_EQ(wrong.status, 1);
    EXPECT_NE(wrong.err.find("nonsense"), std::string::npos);
}

TEST(Opensnoop, Csv)
{
    TempDir dir;
    const Result result = trace_text({"--csv", "--columns", "err,path,comm,mode"}, [&] {
        ::prctl(PR_SET_NAME, "a,\"b\"");
        expect_refused(dir / "plain");
        expect_refused(dir / "with,comma and \"quotes\"");
        expect_refused(dir / "line\nbreak");
    });
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 4u) << result.out;
    EXPECT_EQ(rows[0], "err,path,comm,mode");
    EXPECT_EQ(rows[1], "2," + (dir / "plain") + ",\"a,\"\"b\"\"\",");
    EXPECT_EQ(rows[2], "2,\"" + (dir / "with,comma and \"\"quotes\"\"") + "\",\"a,\"\"b\"\"\",");
    EXPECT_EQ(rows[3], "2," + (dir / "line\\nbreak") + ",\"a,\"\"b\"\"\",");
}

TEST(Opensnoop, CountEndsTheRun)
{
    TempDir dir;
    Child child([&] {
        for (int i = 0; i < 100; i++)
            expect_refused(dir / to_string(i));
    });
    Tracer tracer({"opensnoop", "--json", "-p", to_string(child.pid()), "--count", "7"});
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0);
    ASSERT_EQ(result.records.size(), 7u);
    for (int i = 0; i < 7; i++)
        EXPECT_EQ(result.records[std::size_t(i)].at("path"), dir / to_string(i));
    expect_exact(result);
}

TEST(Opensnoop, BufferPages)
{
    const auto work = [] { expect_refused("/no/such/file"); };
    EXPECT_EQ(trace({"-b", "16"}, work).records.size(), 1u);
    EXPECT_EQ(trace({"-b", "16"}, work, {{"COREBOX_PROBES", "perf_buffer"}}).records.size(), 1u);
    EXPECT_EQ(run({"opensnoop", "-b", "0"}).status, 1);
}

// --- Names that want to be more than names.

TEST(Opensnoop, HostilePath)
{
    TempDir dir;
    const std::string name = dir / "a\nb\x1b[2Jc\xff\xc3(d\\e\te\u202ef";
    const auto work = [&] { expect_open(name, O_WRONLY | O_CREAT, 0600); };
    const Result text = trace_text({}, work);
    const auto rows = lines(text.out);
    ASSERT_EQ(rows.size(), 2u) << text.out;
    EXPECT_TRUE(rows[1].ends_with(dir / R"(a\nb\x1b[2Jc\xff\xc3(d\\e\te\xe2\x80\xaef)")) << rows[1];
    for (const char c : text.out)
        EXPECT_TRUE(c == '\n' || (c >= ' ' && c < 0x7f)) << int(c);

    const Result json = trace({}, work);
    EXPECT_EQ(lines(json.out).size(), 2u); // the row and the account
    ASSERT_EQ(json.records.size(), 1u);
    const Json& record = json.records[0];
    EXPECT_EQ(record.at("path"), dir / "a\nb\x1b[2Jc\ufffd\ufffd(d\\e\te\u202ef");
    // What JSON cannot say is there as it was.
    std::string bytes;
    const std::string hex = record.at("path_hex");
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += char(std::stoi(hex.substr(i, 2), nullptr, 16));
    EXPECT_EQ(bytes, name);
    for (const char c : json.out)
        EXPECT_TRUE(c == '\n' || (c >= ' ' && c != 0x7f) || c < 0) << int(c);
}

TEST(Opensnoop, HostileComm)
{
    TempDir dir;
    const auto work = [&] {
        ::prctl(PR_SET_NAME, "x 1\n2 \x1b[1m\xfe");
        expect_refused(dir / "missing");
    };
    const Result text = trace_text({}, work);
    const auto rows = lines(text.out);
    ASSERT_EQ(rows.size(), 2u) << text.out;
    // Still one word: a space in a name cannot make a column.
    const auto cells = words(rows[1]);
    ASSERT_EQ(cells.size(), 5u) << rows[1];
    EXPECT_EQ(cells[1], R"(x\x201\n2\x20\x1b[1m\xfe)");
    EXPECT_EQ(cells[4], dir / "missing");
    const Result json = trace({}, work);
    ASSERT_EQ(json.records.size(), 1u);
    EXPECT_EQ(json.records[0].at("comm"), "x 1\n2 \x1b[1m\ufffd");
    EXPECT_EQ(json.records[0].at("comm_hex"), "7820310a32201b5b316dfe");
}

TEST(Opensnoop, LongestPath)
{
    // 4095 bytes and the NUL is what the kernel takes; one component must be below 256.
    std::string longest;
    while (longest.size() < 4095)
        longest += "/" + std::string(std::min<std::size_t>(250, 4094 - longest.size()), 'p');
    ASSERT_EQ(longest.size(), 4095u);
    const std::string longer = longest + "q";
    const Result result = trace({}, [&] {
        expect_refused(longest);
        expect_refused(longer);
    });
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 2u);
    EXPECT_EQ(result.records[0].at("path"), longest);
    EXPECT_EQ(result.records[0].at("err"), ENOENT);
    EXPECT_EQ(result.records[1].at("err"), ENAMETOOLONG);
}

// Not inlined, not joined: their names are what is looked for.
FRAME long opens_a_file(const char* path)
{
    KEEP_FRAME;
    const long result = direct_call(SYS_openat, AT_FDCWD, long(path), O_RDONLY);
    KEEP_FRAME;
    return result;
}
FRAME long asks_for_a_file(const char* path)
{
    KEEP_FRAME;
    const long result = opens_a_file(path);
    KEEP_FRAME;
    return result;
}

TEST(Opensnoop, CallersOfAnOpen)
{
    const TempDir dir;
    const std::string first = dir / "first", last = dir / "last";
    const std::string leaf = "(anonymous namespace)::opens_a_file(char const*)+0x",
                      above = "(anonymous namespace)::asks_for_a_file(char const*)+0x";
    for (const char* rung : {"", "tracepoint", "kprobe", "perf_buffer"}) {
        SCOPED_TRACE(rung);
        const Gate read;
        Child child([&] {
            EXPECT_EQ(opens_a_file(first.c_str()), -ENOENT);
            read.wait();
            EXPECT_EQ(asks_for_a_file(last.c_str()), -ENOENT);
            ::_exit(0); // before its second is read
        });
        const std::string pid = to_string(child.pid());
        const Environment env{{"COREBOX_PROBES", rung}};
        Tracer json({"opensnoop", "-c", "--json", "-p", pid}, env);
        Tracer text({"opensnoop", "-c", "-p", pid}, env);
        child.go();
        json.wait_for(first);
        text.wait_for("opens_a_file");
        read.open();
        EXPECT_EQ(child.wait(), 0);
        const Result result = json.wait(), shown = text.wait();
        expect_exact(result);
        ASSERT_EQ(result.records.size(), 2u) << result.out;
        for (const Json& row : result.records) {
            const Json& callers = row.at("callers");
            ASSERT_GE(callers.size(), 3u) << row;
            const bool is_last = row.at("path") == last;
            EXPECT_EQ(callers[0].get<std::string>().find(leaf), 0u) << row;
            EXPECT_EQ(callers[1].get<std::string>().find(above), is_last ? 0 : std::string::npos)
                << row;
            EXPECT_TRUE(callers[0].get<std::string>().ends_with(" [/t/guest_tests]")) << row;
        }
        const auto rows = lines(shown.out);
        ASSERT_GT(rows.size(), 4u) << shown.out;
        EXPECT_TRUE(rows[0].ends_with(" PATH/CALLER")) << rows[0];
        EXPECT_TRUE(rows[1].ends_with(" " + first)) << rows[1];
        const std::string indent(rows[0].find("PATH"), ' ');
        EXPECT_EQ(rows[2].find(indent + leaf), 0u) << rows[2];
        const auto second = std::ranges::find_if(
            rows, [&](const std::string& line) { return line.ends_with(" " + last); });
        ASSERT_GT(rows.end() - second, 2) << shown.out;
        EXPECT_EQ(second[2].find(indent + above), 0u) << second[2];
    }
    // Nothing of this without the option.
    const Result plain = trace({}, [&] { opens_a_file(first.c_str()); });
    ASSERT_EQ(plain.records.size(), 1u) << plain.out;
    EXPECT_FALSE(plain.records[0].contains("callers")) << plain.out;
}

} // namespace
