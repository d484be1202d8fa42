// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fuse_server.hpp"
#include "waits.hpp"
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/capability.h>
#include <numeric>
#include <sched.h>
#include <set>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

// What stands in the stacks, by names that nothing else has.
extern "C" {
FRAME void cbtest_spin_leaf()
{
    KEEP_FRAME;
    for (unsigned i = 0; i < 100'000; i++)
        asm volatile("" : "+r"(i));
}

// CPU time of the calling thread. exec() does not set it back.
unsigned cbtest_ms()
{
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return unsigned(t.tv_sec) * 1000 + unsigned(t.tv_nsec) / 1'000'000;
}

FRAME void cbtest_spin(unsigned ms)
{
    KEEP_FRAME;
    for (const unsigned end = cbtest_ms() + ms; cbtest_ms() < end;)
        cbtest_spin_leaf();
    KEEP_FRAME;
}

// Until at least so many samples have been taken of it at `hz`. Where the emulator waits for a CPU
// of the host, timer interrupts come late, and of the samples that were due meanwhile one is taken.
// So it watches a timer of its own, four times as fast: n of its expirations at once mean that no
// interrupt came for less than n + 1, which costs less than (n + 1) / 4 samples. So may being
// another task's turn cost one.
FRAME void cbtest_spin_samples(unsigned samples, unsigned hz)
{
    KEEP_FRAME;
    constexpr unsigned kTimes = 4, kSeconds = 60;
    const auto switches = [] {
        rusage usage{};
        ::getrusage(RUSAGE_THREAD, &usage);
        return std::uint64_t(usage.ru_nvcsw + usage.ru_nivcsw);
    };
    const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    const timespec period{0, 1'000'000'000 / (hz * kTimes)};
    const itimerspec every{period, period};
    if (timer < 0 || ::timerfd_settime(timer, 0, &every, nullptr) != 0)
        std::abort();
    const std::uint64_t before = switches();
    std::uint64_t due = 0, missed = 0;
    while (due / kTimes < samples + missed + switches() - before + 2) {
        cbtest_spin_leaf();
        std::uint64_t n = 0;
        if (::read(timer, &n, sizeof n) == ssize_t(sizeof n)) {
            due += n;
            missed += (n + 1) / kTimes;
        }
        if (due > kSeconds * hz * kTimes)
            std::abort();
    }
    ::close(timer);
    KEEP_FRAME;
}

FRAME void cbtest_read_once(int fd)
{
    static char buffer[1 << 20];
    KEEP_FRAME;
    for (int i = 0; i < 8; i++)
        if (::read(fd, buffer, sizeof buffer) != ssize_t(sizeof buffer))
            std::abort();
    KEEP_FRAME;
}

FRAME void cbtest_read(unsigned ms)
{
    KEEP_FRAME;
    const int fd = ::open("/dev/zero", O_RDONLY);
    for (const unsigned end = cbtest_ms() + ms; cbtest_ms() < end;)
        cbtest_read_once(fd);
    ::close(fd);
    KEEP_FRAME;
}
}

namespace
{

using namespace corebox::test;

constexpr unsigned kMs = 300; // of CPU time that a child burns

void pin(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    ASSERT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
}

std::uint64_t sum(const Records& records)
{
    return std::accumulate(
        records.begin(), records.end(), std::uint64_t(0),
        [](std::uint64_t n, const Json& r) { return n + r.at("count").get<std::uint64_t>(); });
}

template <class Predicate>
std::uint64_t sum_if(const Records& records, Predicate&& predicate)
{
    Records those;
    std::ranges::copy_if(records, std::back_inserter(those), predicate);
    return sum(those);
}

Result profile(std::vector<std::string> options, const std::function<void()>& work,
               bool by_pid = true)
{
    Child child(work);
    std::vector<std::string> argv{"profile"};
    argv.insert(argv.end(), options.begin(), options.end());
    if (by_pid)
        argv.insert(argv.end(), {"-p", std::to_string(child.pid())});
    Tracer tracer(argv);
    child.go_wait();
    return by_pid ? tracer.wait() : tracer.stop();
}

// What the account on stderr says was printed.
std::uint64_t printed(const std::string& err)
{
    const auto at = err.find(" seen = ");
    return at == err.npos ? ~0ull : std::stoull(err.substr(at + 8));
}

// The names are looked up after the process has ended: the run ends with it.
TEST(Profile, NamesTheFunctionsOfAProcessThatEnded)
{
    const Result r = profile({"--json"}, [] {
        name("spinner");
        pin(0);
        cbtest_spin(kMs);
    });
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    const std::uint64_t total = sum(r.records);
    EXPECT_EQ(r.account.at("printed"), total);
    // 99 Hertz of its CPU time; an emulated machine loses timer interrupts, but invents none.
    EXPECT_GE(total, 99 * kMs / 1000 / 3) << r.out;
    EXPECT_LE(total, 99 * kMs / 1000 * 13 / 10 + 3) << r.out;
    const auto in_leaf = sum_if(r.records, [](const Json& row) {
        const Json& user = row.at("user");
        return user.size() > 1 && user[0] == "cbtest_spin_leaf" && user[1] == "cbtest_spin";
    });
    EXPECT_GE(in_leaf * 2, total) << r.out;
    // The rest is on its way there, or asks for the time.
    const auto in_spin = sum_if(r.records, [](const Json& row) {
        const Json& user = row.at("user");
        return std::find(user.begin(), user.end(), "cbtest_spin") != user.end();
    });
    EXPECT_GE(in_spin * 10, total * 9) << r.out;
    std::uint64_t before = 0;
    for (const Json& row : r.records) {
        EXPECT_EQ(row.at("pid"), r.records[0].at("pid"));
        EXPECT_TRUE(row.at("comm") == "spinner" || row.at("count") == 1) << row;
        EXPECT_LE(before, row.at("count")) << "ascending";
        before = row.at("count");
        EXPECT_EQ(row.size(), 5u) << row; // comm pid count user kernel
    }
}

// How often a process has gone to sleep.
unsigned long sleeps(pid_t pid)
{
    const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
    constexpr std::string_view kKey = "\nvoluntary_ctxt_switches:";
    return std::stoul(status.substr(status.find(kKey) + kKey.size()));
}

// Seen only by its samples: nobody named its PID, and it ends long before the report, but not
// before the tool has had its turn.
TEST(Profile, NamesAShortProcessSystemWide)
{
    constexpr unsigned kProcesses = 5, kSamples = 8, kHz = 199;
    auto* tool = static_cast<pid_t*>(
        ::mmap(nullptr, sizeof(pid_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(tool, MAP_FAILED);
    Child child([tool] {
        for (unsigned i = 0; i < kProcesses; i++) {
            const pid_t pid = ::fork();
            if (pid == 0) {
                name("brief");
                cbtest_spin_samples(kSamples, kHz);
                // Twice: at the first it may have read what there was before.
                const auto before = sleeps(*tool);
                const bool looked = wait_until([&] { return sleeps(*tool) >= before + 2; });
                ::_exit(looked ? 0 : 1);
            }
            int status = -1;
            EXPECT_EQ(::waitpid(pid, &status, 0), pid);
            EXPECT_EQ(status, 0);
        }
    });
    Tracer tracer({"profile", "--json", "-F", std::to_string(kHz)});
    *tool = tracer.pid();
    child.go_wait();
    const Result r = tracer.stop();
    ::munmap(tool, sizeof(pid_t));
    EXPECT_EQ(r.status, 0) << r.err;
    const Records brief = with(r.records, "comm", "brief");
    std::map<Json, std::uint64_t> seen, named;
    for (const Json& row : brief) {
        const auto count = row.at("count").get<std::uint64_t>();
        seen[row.at("pid")] += count;
        named[row.at("pid")] += has_frame(row.at("user"), "cbtest_spin_leaf") ? count : 0;
    }
    EXPECT_EQ(seen.size(), kProcesses) << r.out;
    for (const auto& [pid, count] : seen) {
        EXPECT_GE(count, kSamples) << pid << r.out;
        EXPECT_GE(named[pid], kSamples / 2) << pid << r.out; // the others read the clock
    }
}

TEST(Profile, KernelStacksOfSystemCalls)
{
    const Result r = profile({"--json"}, [] { cbtest_read(kMs); });
    EXPECT_EQ(r.status, 0) << r.err;
    const auto in_read = sum_if(r.records, [](const Json& row) {
        return has_frame(row.at("kernel"), "vfs_read") && has_frame(row.at("kernel"), "ksys_read");
    });
    EXPECT_GE(in_read * 10, sum(r.records) * 8) << r.out;
    std::uint64_t called = 0;
    for (const Json& row : r.records) {
        const Json& kernel = row.at("kernel");
        // BCC adds the interrupted address once more on top.
        if (kernel.size() > 1) {
            EXPECT_NE(kernel[0], kernel[1]) << row;
        }
        for (const Json& frame : kernel) {
            EXPECT_FALSE(frame.get<std::string>().starts_with("bpf_")) << row;
            EXPECT_FALSE(frame.get<std::string>().starts_with("0x")) << row;
        }
        if (has_frame(kernel, "vfs_read"))
            called += has_frame(row.at("user"), "cbtest_read") ? row.at("count").get<int>() : 0;
    }
    // libc's read() has no frame pointer, which hides its caller, but not the caller's caller.
    EXPECT_GT(called, 0u) << r.out;
}

TEST(Profile, UserOnlyAndKernelOnly)
{
    const auto work = [] { cbtest_read(kMs / 2); };
    const Result user = profile({"--json", "-U"}, work);
    EXPECT_GT(sum(user.records), 5u);
    for (const Json& row : user.records) {
        EXPECT_TRUE(row.at("kernel").is_null());
        EXPECT_TRUE(row.at("user").is_array());
    }
    const Result kernel = profile({"--json", "-K"}, work);
    EXPECT_GT(sum(kernel.records), 5u);
    EXPECT_GT(count_if(kernel.records,
                       [](const Json& row) { return has_frame(row.at("kernel"), "vfs_read"); }),
              0u);
    for (const Json& row : kernel.records)
        EXPECT_TRUE(row.at("user").is_null());
    const Result text = profile({"-K"}, work);
    EXPECT_EQ(text.out.find("cbtest_"), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("\n    vfs_read\n"), std::string::npos) << text.out;
}

TEST(Profile, ThreadsByIdAndApart)
{
    int ids[2];
    ASSERT_EQ(::pipe(ids), 0);
    Child child([&] {
        std::thread other([&] {
            const pid_t tid = pid_t(::syscall(SYS_gettid));
            EXPECT_EQ(::write(ids[1], &tid, sizeof tid), ssize_t(sizeof tid));
            ::usleep(1'500'000); // until the tracer is there
            cbtest_spin(kMs);
        });
        ::usleep(1'500'000);
        cbtest_read(kMs);
        other.join();
    });
    child.go();
    pid_t tid = 0;
    ASSERT_EQ(::read(ids[0], &tid, sizeof tid), ssize_t(sizeof tid));
    Tracer all({"profile", "--json", "--per-thread", "-p", std::to_string(child.pid())});
    Tracer one({"profile", "--json", "-L", std::to_string(tid)});
    const pid_t pid = child.pid();
    EXPECT_EQ(child.wait(), 0);
    const Result by_tid = one.wait(), by_pid = all.wait();
    EXPECT_GT(sum(by_tid.records), 5u);
    for (const Json& row : by_tid.records) {
        EXPECT_EQ(row.at("pid"), pid);
        EXPECT_FALSE(has_frame(row.at("user"), "cbtest_read")) << row;
        EXPECT_FALSE(row.contains("tid"));
    }
    std::map<Json, std::uint64_t> threads;
    for (const Json& row : by_pid.records) {
        threads[row.at("tid")] += row.at("count").get<std::uint64_t>();
        if (has_frame(row.at("user"), "cbtest_spin_leaf")) {
            EXPECT_EQ(row.at("tid"), tid);
        }
        if (has_frame(row.at("user"), "cbtest_read")) {
            EXPECT_EQ(row.at("tid"), pid);
        }
    }
    EXPECT_EQ(threads.size(), 2u);
    EXPECT_TRUE(threads.contains(tid) && threads.contains(pid));
}

TEST(Profile, IdleOnlyWhenAskedFor)
{
    const auto idle = [](const Json& row) { return row.at("pid") == 0; };
    const Result without = run({"profile", "--json", "-F", "199", "0.5"});
    EXPECT_EQ(without.status, 0) << without.err;
    EXPECT_EQ(count_if(without.records, idle), 0u) << without.out;
    const Result with_idle = run({"profile", "--json", "-I", "-F", "199", "0.5"});
    EXPECT_GT(sum_if(with_idle.records, idle), 20u) << with_idle.out;
    EXPECT_GT(
        count_if(with_idle.records, [](const Json& row) { return row.at("comm") == "swapper/0"; }),
        0u);
}

TEST(Profile, RateAndPeriod)
{
    // All CPUs, idle too: the rate is known.
    const auto samples = [](std::vector<std::string> options) {
        options.insert(options.begin(), {"profile", "--json", "-I"});
        options.insert(options.end(), "1");
        const Result r = run(options);
        expect_exact(r);
        // Its own process is not shown.
        return sum(r.records);
    };
    const std::uint64_t slow = samples({"-F", "49"}), fast = samples({"-F", "199"}),
                        period = samples({"-c", "10000000"}); // 10 ms of the CPU clock
    EXPECT_LE(slow, 49 * cpus() * 12 / 10);
    EXPECT_GE(slow, 49 * cpus() * 4 / 10);
    EXPECT_LE(fast, 199 * cpus() * 12 / 10);
    EXPECT_GE(fast, 199 * cpus() * 4 / 10);
    EXPECT_LE(period, 100 * cpus() * 12 / 10);
    EXPECT_GE(period, 100 * cpus() * 4 / 10);
}

TEST(Profile, OneCpu)
{
    if (cpus() < 2)
        GTEST_SKIP() << "one CPU";
    constexpr unsigned kSamples = 10, kHz = 99;
    const auto spins_on_1 = [](std::vector<std::string> options) {
        cpu_set_t all;
        EXPECT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
        pin(1);
        Child child([] { cbtest_spin_samples(kSamples, kHz); }); // never on another
        EXPECT_EQ(::sched_setaffinity(0, sizeof all, &all), 0);
        options.insert(options.begin(), "profile");
        options.insert(options.end(), {"-p", std::to_string(child.pid())});
        Tracer tracer(options);
        child.go_wait();
        return tracer.wait();
    };
    EXPECT_EQ(sum(spins_on_1({"--json", "-C", "0"}).records), 0u);
    const Result there = spins_on_1({"-C", "1", "-d"});
    EXPECT_GE(printed(there.err), kSamples) << there.err;
    EXPECT_LT(printed(there.err), ~0ull) << there.err;
    EXPECT_NE(lines(there.out)[0].find(" stack on CPU#1... Hit"), std::string::npos) << there.out;
}

TEST(Profile, SeveralProcesses)
{
    const auto work = [] { cbtest_spin(kMs / 2); };
    Child a(work), b(work), c(work);
    const pid_t pids[] = {a.pid(), b.pid()};
    Tracer tracer(
        {"profile", "--json", "-p", std::to_string(pids[0]) + "," + std::to_string(pids[1])});
    a.go();
    b.go();
    c.go();
    EXPECT_EQ(a.wait() + b.wait() + c.wait(), 0);
    const Result r = tracer.wait();
    EXPECT_EQ(r.status, 0) << r.err;
    std::uint64_t rows = 0;
    for (const pid_t pid : pids) {
        EXPECT_GT(sum(with(r.records, "pid", pid)), 5u) << r.out;
        rows += with(r.records, "pid", pid).size();
    }
    EXPECT_EQ(rows, r.records.size());
}

// What the next test executes: this very program, which then is not a test.
[[maybe_unused]] const bool kSpun = [] {
    if (::getenv("CBTEST_SPIN")) {
        cbtest_spin(1000); // a tool that starves looks late
        ::_exit(0);
    }
    return false;
}();

// A process that is known already, and then becomes another program, and ends at once.
// The second program is deleted before the report names its functions, as go test does with its
// own.
TEST(Profile, NamesAfterAnExec)
{
    char self[4096] = {};
    ASSERT_GT(::readlink("/proc/self/exe", self, sizeof self - 1), 0);
    const Result r = run({"profile", "--json", "-F", "499", "--", "sh", "-c",
                          "cp " + std::string(self) +
                              " /tmp/cbgone; (i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); done; "
                              "CBTEST_SPIN=1 exec /tmp/cbgone); rm /tmp/cbgone"});
    EXPECT_EQ(r.status, 0) << r.err;
    const auto in = [&](const char* function) {
        return sum_if(r.records,
                      [&](const Json& row) { return has_frame(row.at("user"), function); });
    };
    EXPECT_GT(in("cbtest_spin_leaf"), 5u) << r.out;
    // Both programs lie at the same addresses; the first one's have no names.
    std::uint64_t before = 0;
    for (const Json& row : with(r.records, "comm", "sh")) {
        if (!row.at("kernel").empty())
            continue; // in the exec itself
        before += row.at("count").get<int>();
        for (const std::string frame : row.at("user"))
            EXPECT_TRUE(frame.starts_with("busybox+0x") || frame.starts_with("[vdso]") ||
                        frame == "[unknown]")
                << row;
    }
    EXPECT_GT(before, 0u) << r.out;
}

// As an AppImage: its files can be read only as long as it runs, and then it unmounts them, which
// waits for the reading of them alone.
TEST(Profile, NamesAProgramOfAFuseMount)
{
    const TempDir dir;
    const FuseServer server(dir.path(), std::chrono::milliseconds(0), read_file("/proc/self/exe"));
    const std::string unmounted = "/tmp/cbunmounted";
    const Result r =
        run({"profile", "--json", "-F", "499", "--", "sh", "-c",
             "CBTEST_SPIN=1 " + dir.path() + "/program; for i in $(seq 100); do umount " +
                 dir.path() + " && echo > " + unmounted + " && exit; usleep 100000; done"});
    EXPECT_EQ(::unlink(unmounted.c_str()), 0) << "busy: " << r.err;
    // How long it takes to start, over FUSE, is up to the machine: then it spins.
    EXPECT_GT(sum_if(with(r.records, "comm", "program"),
                     [](const Json& row) { return has_frame(row.at("user"), "cbtest_spin"); }),
              5u)
        << r.out;
}

TEST(Profile, CommandAndItsChildren)
{
    const auto work = [] { cbtest_spin(kMs); };
    Child outsider(work);
    outsider.go();
    const Result r = run({"profile", "--json", "--", "sh", "-c",
                          "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; "
                          "dd if=/dev/zero of=/dev/null bs=1M count=300; :"});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_GT(count_if(r.records, [](const Json& row) { return row.at("comm") == "dd"; }), 0u);
    EXPECT_GT(count_if(r.records, [](const Json& row) { return row.at("comm") == "sh"; }), 0u);
    EXPECT_EQ(with(r.records, "pid", outsider.pid()).size(), 0u);
}

TEST(Profile, FoldedLines)
{
    const Result r = profile({"-f", "-a", "-d"}, [] {
        name("a;b\nc \x1b[2J");
        cbtest_read(kMs / 2);
        cbtest_spin(kMs);
    });
    EXPECT_EQ(r.status, 0) << r.err;
    std::uint64_t total = 0;
    bool both = false;
    for (const std::string& line : lines(r.out)) {
        const auto space = line.rfind(' ');
        ASSERT_NE(space, line.npos) << line;
        total += std::stoull(line.substr(space + 1));
        const std::string stack = line.substr(0, space);
        // Between the clone and the prctl() it has its old name.
        EXPECT_TRUE(stack.starts_with(R"(a:b\nc \x1b[2J)") || stack.starts_with("guest_tests"))
            << line;
        const auto delimiter = stack.find(";-;");
        if (delimiter == stack.npos)
            continue;
        const std::string user = stack.substr(0, delimiter), kernel = stack.substr(delimiter + 2);
        EXPECT_EQ(user.find("_[k]"), user.npos) << line;
        EXPECT_EQ(std::ranges::count(kernel, ';'), [&] {
            int n = 0;
            for (auto at = kernel.find("_[k]"); at != kernel.npos; at = kernel.find("_[k]", at + 1))
                n++;
            return n;
        }()) << line;
        both |=
            user.find(";cbtest_read") != user.npos && kernel.find(";vfs_read_[k];") != kernel.npos;
    }
    EXPECT_TRUE(both) << r.out;
    EXPECT_EQ(total, printed(r.err));
}

TEST(Profile, Blocks)
{
    const Result r = profile({"-d"}, [] { cbtest_read(kMs); });
    const auto all = lines(r.out);
    ASSERT_GT(all.size(), 6u);
    const std::string& banner = all[0];
    EXPECT_TRUE(banner.starts_with("Sampling at 99 Hertz of PID [")) << banner;
    EXPECT_TRUE(banner.ends_with("] by user + kernel stack... Hit Ctrl-C to end.")) << banner;
    EXPECT_EQ(all[1], "");
    std::uint64_t total = 0;
    for (std::size_t i = 2; i < all.size(); i++) {
        if (!all[i].empty())
            continue;
        // Above the empty line: the process, and its count.
        EXPECT_TRUE(all[i - 2].starts_with("    -                guest_tests (")) << all[i - 2];
        EXPECT_TRUE(all[i - 1].starts_with("        "));
        total += std::stoull(all[i - 1]);
    }
    EXPECT_EQ(total, printed(r.err));
    EXPECT_NE(r.out.find("\n    --\n"), std::string::npos);
    EXPECT_EQ(r.out.find("\n    --\n", r.out.rfind("\n\n", r.out.size() - 3)),
              r.out.rfind("\n    --\n"))
        << "one delimiter a block";

    const Result timed = run({"profile", "-F", "19", "-U", "0.5"});
    EXPECT_EQ(lines(timed.out)[0],
              "Sampling at 19 Hertz of all threads by user stack for 0.5 secs.");
}

TEST(Profile, Addresses)
{
    const Result r = profile({"-A"}, [] { cbtest_read(kMs / 2); });
    EXPECT_NE(r.out.find(" vfs_read+0x"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find(" [kernel]\n"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find(" cbtest_read+0x"), std::string::npos) << r.out;
    for (const std::string& line : lines(r.out))
        if (line.starts_with("    ") && line[4] != ' ' && line[4] != '-') {
            EXPECT_TRUE(line.starts_with("    0x")) << line;
        }
    const Result json = profile({"-A", "--json"}, [] { cbtest_read(kMs / 2); });
    for (const Json& row : json.records)
        EXPECT_EQ(row.at("kernel").size(), row.at("kernel_address").size());
}

TEST(Profile, RowsWhenColumnsAreChosen)
{
    const Result r = profile({"--columns", "count,comm,user"}, [] { cbtest_spin(kMs); });
    const auto all = lines(r.out);
    ASSERT_GT(all.size(), 1u);
    EXPECT_EQ(words(all[0]), (std::vector<std::string>{"COUNT", "COMM", "USER"}));
    EXPECT_TRUE(words(all.back()).at(2).starts_with("cbtest_spin_leaf;cbtest_spin")) << all.back();
    const Result csv = profile({"--csv"}, [] { cbtest_spin(kMs / 2); });
    EXPECT_EQ(lines(csv.out)[0], "comm,pid,count,user,kernel");
}

TEST(Profile, JitNames)
{
    const Result r = profile({"--json"}, [] {
#if defined(__aarch64__)
        // mov w0, #0x100000; 1: subs w0, w0, #1; b.ne 1b; ret
        constexpr std::uint32_t kCode[] = {0x52a00200, 0x71000400, 0x54ffffe1, 0xd65f03c0};
#else
        // mov $0x100000, %eax; 1: dec %eax; jnz 1b; ret
        constexpr unsigned char kCode[] = {0xb8, 0x00, 0x00, 0x10, 0x00,
                                           0xff, 0xc8, 0x75, 0xfc, 0xc3};
#endif
        void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(page, MAP_FAILED);
        std::memcpy(page, kCode, sizeof kCode);
        char* code = static_cast<char*>(page);
        __builtin___clear_cache(code, code + sizeof kCode);
        char line[128];
        std::snprintf(line, sizeof line, "%lx %zx jitted loop<1>\n", (unsigned long)page,
                      sizeof kCode);
        const std::string map = "/tmp/perf-" + std::to_string(::getpid()) + ".map";
        write_file(map, line);
        for (const unsigned end = cbtest_ms() + kMs; cbtest_ms() < end;)
            reinterpret_cast<void (*)()>(page)();
    });
    shell("rm -f /tmp/perf-*.map");
    EXPECT_GE(sum_if(r.records,
                     [](const Json& row) {
                         return !row.at("user").empty() && row.at("user")[0] == "jitted loop<1>";
                     }) *
                  10,
              sum(r.records) * 8)
        << r.out;
}

TEST(Profile, LostStacksAreCountedOnce)
{
    const Result r = profile({"--json", "--stack-storage-size", "1"}, [] {
        cbtest_read(kMs / 2);
        cbtest_spin(kMs);
    });
    EXPECT_EQ(r.status, 3) << r.err;
    EXPECT_GT(r.account.at("lost_stack"), 0);
    EXPECT_EQ(r.account.at("seen"), r.account.at("printed").get<std::uint64_t>() +
                                        r.account.at("filtered").get<std::uint64_t>() +
                                        r.account.at("lost").get<std::uint64_t>());
    const auto missed = [](const Json& row) {
        return row.at("user").is_null() || row.at("kernel").is_null();
    };
    EXPECT_EQ(sum_if(r.records, missed), r.account.at("lost_stack"));
    EXPECT_EQ(sum(r.records) - sum_if(r.records, missed), r.account.at("printed"));

    const Result text = profile({"-f", "--stack-storage-size", "1"}, [] {
        cbtest_read(kMs / 2);
        cbtest_spin(kMs);
    });
    EXPECT_NE(text.out.find("[Missed "), std::string::npos) << text.out;
}

TEST(Profile, FullHashIsCounted)
{
    const Result r = profile({"--json", "--hash-storage-size", "1"}, [] {
        cbtest_read(kMs / 2);
        cbtest_spin(kMs);
    });
    EXPECT_EQ(r.status, 3) << r.err;
    EXPECT_GT(r.account.at("lost_map"), 0);
    EXPECT_EQ(r.account.at("lost_stack"), 0);
    EXPECT_EQ(sum(r.records), r.account.at("printed"));
    EXPECT_LE(r.records.size(), 2u);
}

TEST(Profile, StackDepth)
{
    const Result r = profile({"--json", "--perf-max-stack-depth", "2"}, [] { cbtest_read(kMs); });
    EXPECT_EQ(r.status, 0) << r.err;
    bool cut = false;
    for (const Json& row : r.records) {
        EXPECT_LE(row.at("kernel").size(), 2u);
        EXPECT_LE(row.at("user").size(), 2u);
        cut |= row.at("kernel").size() == 2;
    }
    EXPECT_TRUE(cut);
    const Result deep = run({"profile", "--perf-max-stack-depth", "128", "1"});
    EXPECT_EQ(deep.status, 2);
    EXPECT_NE(deep.err.find("kernel.perf_event_max_stack"), std::string::npos) << deep.err;
}

// Elements nest and end, and text has no bare '<' or '&' outside of CDATA.
testing::AssertionResult well_formed(const std::string& xml)
{
    std::vector<std::string> open;
    for (std::size_t at = 0; at < xml.size();) {
        if (xml.compare(at, 9, "<![CDATA[") == 0) {
            at = xml.find("]]>", at);
            if (at == xml.npos)
                return testing::AssertionFailure() << "CDATA without end";
            at += 3;
        } else if (xml[at] == '&') {
            const std::string entity = xml.substr(at, xml.find(';', at) - at);
            if (entity.size() > 8)
                return testing::AssertionFailure() << "bare & at " << xml.substr(at, 20);
            at++;
        } else if (xml[at] == '<') {
            const auto end = xml.find('>', at);
            if (end == xml.npos)
                return testing::AssertionFailure() << "tag without end";
            const std::string tag = xml.substr(at + 1, end - at - 1);
            at = end + 1;
            const std::string element = tag.substr(0, tag.find_first_of(" \n/", 1));
            if (tag[0] == '?' || tag[0] == '!' || tag.ends_with('/'))
                continue;
            if (tag[0] != '/') {
                open.push_back(element);
            } else if (open.empty() || open.back() != tag.substr(1)) {
                return testing::AssertionFailure() << "unexpected </" << tag.substr(1);
            } else {
                open.pop_back();
            }
        } else {
            at++;
        }
    }
    return open.empty() ? testing::AssertionSuccess()
                        : testing::AssertionFailure() << open.back() << " stays open";
}

TEST(Profile, FlameGraph)
{
    const auto work = [] {
        name("<b>&\"'\n]]>x");
        cbtest_read(kMs / 2);
        cbtest_spin(kMs);
    };
    TempDir dir;
    const Result r = profile({"--flame", dir / "out.svg"}, work);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.out, "");
    const std::string svg = read_file(dir / "out.svg");
    EXPECT_TRUE(well_formed(svg));
    EXPECT_TRUE(svg.starts_with("<?xml")) << svg.substr(0, 100);
    for (const char* frame : {"cbtest_read", "cbtest_spin_leaf", "vfs_read"})
        EXPECT_NE(svg.find(frame), svg.npos) << frame;
    EXPECT_EQ(svg.find("<b>"), svg.npos);
    EXPECT_NE(r.err.find("wrote " + (dir / "out.svg")), r.err.npos) << r.err;
    EXPECT_EQ(shell("ls -A " + dir.path()).out, "out.svg\n"); // nothing beside it

    // With -f both, and over the old file.
    write_file(dir / "out.svg", "old");
    const Result both = profile({"--flame", dir / "out.svg", "-f"}, work);
    EXPECT_NE(both.out.find(";cbtest_spin;cbtest_spin_leaf"), std::string::npos) << both.out;
    EXPECT_TRUE(well_formed(read_file(dir / "out.svg")));
    EXPECT_GT(read_file(dir / "out.svg").size(), 1000u);
}

TEST(Profile, FlameGraphThatCannotBeWritten)
{
    const auto fails = [](const std::string& file) {
        const Result r = run({"profile", "--flame", file, "0.3"});
        EXPECT_EQ(r.status, 4) << r.err;
        EXPECT_EQ(r.out, "");
        EXPECT_NE(lines(r.err).back().find("write " + file + ": "), std::string::npos) << r.err;
    };
    fails("/dev/full");
    fails("/no/such/directory/x.svg");
    fails("/tmp");
    struct stat st {
    };
    ASSERT_EQ(::stat("/dev/full", &st), 0);
    EXPECT_TRUE(S_ISCHR(st.st_mode)) << "replaced by a file";

    // A link that another user has put into a directory for all: open(2) would not follow it.
    const std::string before = read_file("/proc/sys/fs/protected_symlinks");
    write_file("/proc/sys/fs/protected_symlinks", "1");
    ASSERT_EQ(::chmod("/tmp", 01777), 0);
    const std::string target = "/root/kept", link = "/tmp/planted.svg";
    ASSERT_EQ(shell("mkdir -p /root && echo kept > " + target).status, 0);
    ASSERT_EQ(::symlink(target.c_str(), link.c_str()), 0);
    ASSERT_EQ(::lchown(link.c_str(), 1000, 1000), 0);
    fails(link);
    EXPECT_EQ(read_file(target), "kept\n");
    ::unlink(link.c_str());
    write_file("/proc/sys/fs/protected_symlinks", before);

    // A full disk: the old file stays, nothing is left behind.
    TempDir dir;
    ASSERT_EQ(::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=8k"), 0);
    write_file(dir / "x.svg", "old");
    fails(dir / "x.svg");
    EXPECT_EQ(read_file(dir / "x.svg"), "old");
    EXPECT_EQ(shell("ls -A " + dir.path()).out, "x.svg\n");
    ::umount(dir.path().c_str());
}

TEST(Profile, PidNamespace)
{
    const Result r = shell("unshare -m -p -f --mount-proc sh -c '"
                           "(i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done) & "
                           "echo $! > /tmp/inner; corebox profile --json -p $! 2>&1'");
    const Json inner = Json::parse(read_file("/tmp/inner"));
    std::uint64_t total = 0;
    for (const std::string& line : lines(r.out)) {
        const Json row = Json::parse(line, nullptr, false);
        if (!row.is_object() || !row.contains("pid"))
            continue;
        EXPECT_EQ(row.at("pid"), inner);
        EXPECT_EQ(row.at("comm"), "sh");
        total += row.at("count").get<std::uint64_t>();
    }
    EXPECT_LT(inner, 10);
    EXPECT_GT(total, 5u) << r.out << r.err;
}

TEST(Profile, IdleInPidNamespace)
{
    in_namespaces(CLONE_NEWPID, [] {
        const Result r = run({"profile", "--json", "-I", "1"});
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_GT(sum_if(r.records,
                         [](const Json& row) {
                             return row.at("comm").get<std::string>().starts_with("swapper/");
                         }),
                  5u)
            << r.out;
        for (const Json& row : r.records)
            EXPECT_TRUE(row.at("pid") != 0 ||
                        row.at("comm").get<std::string>().starts_with("swapper/"))
                << row;
    });
}

TEST(Profile, FewCapabilities)
{
    const auto as_user = [](bool names_too) {
        Child child([] { cbtest_read(kMs); });
        Tracer tracer({"profile", "--json", "-p", std::to_string(child.pid())}, {}, [&] {
            const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY}; // 5.10 counts maps against it
            ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
            if (names_too)
                become_user({CAP_BPF, CAP_PERFMON, CAP_SYSLOG, CAP_SYS_PTRACE});
            else
                become_user({CAP_BPF, CAP_PERFMON});
        });
        child.go_wait();
        Result r = tracer.wait();
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_GT(sum(r.records), 5u);
        expect_exact(r);
        return r;
    };
    const auto in = [](const Result& r, const char* key, const char* function) {
        return sum_if(r.records, [&](const Json& row) { return has_frame(row.at(key), function); });
    };
    // Debian: above 2 even CAP_PERFMON is refused.
    const std::string paranoid = "/proc/sys/kernel/perf_event_paranoid";
    const std::string was = read_file(paranoid);
    write_file(paranoid, "3");
    const Result refused = run({"profile", "--check"}, {}, [] {
        become_user({CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE});
    });
    EXPECT_EQ(refused.status, 2);
    EXPECT_NE(refused.err.find("kernel.perf_event_paranoid"), std::string::npos) << refused.err;
    EXPECT_EQ(lines(refused.err).size(), 1u) << refused.err;
    write_file(paranoid, "2");
    const Result few = as_user(false);
    EXPECT_EQ(in(few, "kernel", "vfs_read"), 0u) << few.out;
    EXPECT_NE(few.err.find("CAP_SYSLOG"), std::string::npos) << few.err;
    const Result enough = as_user(true);
    write_file(paranoid, was);
    // Nor has root their names where the administrator hides them from everybody.
    const std::string restrict = "/proc/sys/kernel/kptr_restrict";
    const std::string restricted = read_file(restrict);
    write_file(restrict, "2");
    const Result hidden = profile({"--json"}, [] { cbtest_read(kMs / 2); });
    write_file(restrict, restricted);
    EXPECT_EQ(in(hidden, "kernel", "vfs_read"), 0u) << hidden.out;
    EXPECT_NE(hidden.err.find("kernel.kptr_restrict is 2"), std::string::npos) << hidden.err;
    EXPECT_EQ(hidden.err.find("CAP_SYSLOG"), std::string::npos) << hidden.err;
    EXPECT_GT(in(enough, "kernel", "vfs_read"), 5u) << enough.out;
    EXPECT_GT(in(enough, "user", "cbtest_read"), 0u) << enough.out;
    EXPECT_EQ(enough.err.find("CAP_SYSLOG"), std::string::npos) << enough.err;
}

TEST(Profile, SignalsGiveTheReport)
{
    Child child([] { cbtest_spin(kMs / 2); });
    Tracer tracer({"profile", "--json"});
    const pid_t pid = child.pid(), self = tracer.pid();
    child.go_wait();
    const Result r = tracer.stop(SIGTERM);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_GT(sum(with(r.records, "pid", pid)), 5u) << r.out;
    EXPECT_EQ(with(r.records, "pid", self).size(), 0u);
    expect_exact(r);
}

TEST(Profile, WrongCommandLines)
{
    const auto status = [](std::vector<std::string> options) {
        options.insert(options.begin(), "profile");
        const Result r = run(options);
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
        EXPECT_EQ(r.out, "");
        return r.status;
    };
    EXPECT_EQ(status({"-F", "0"}), 1);
    EXPECT_EQ(status({"-c", "0"}), 1);
    EXPECT_EQ(status({"-F", "9", "-c", "9"}), 1);
    EXPECT_EQ(status({"-U", "-K"}), 1);
    EXPECT_EQ(status({"0"}), 1);
    EXPECT_EQ(status({"1", "2"}), 1);
    EXPECT_EQ(status({"-C", "99"}), 2);
    EXPECT_EQ(status({"-p", "999999"}), 2);
    EXPECT_EQ(status({"-L", "999999"}), 2);
    EXPECT_EQ(status({"-F", "1000000"}), 2); // beyond kernel.perf_event_max_sample_rate
}

TEST(Profile, LongOptions)
{
    // libbpf-tools' has the name with a blank at its end, and refuses it.
    const Result r = run({"profile", "--json", "--include-idle", "--frequency", "99",
                          "--user-stacks-only", "--delimited", "--annotations", "--cpu", "0",
                          "--stack-storage-size", "2048", "--hash-storage-size", "1000", "0.5"});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(run({"profile", "--check", "--kernel-stacks-only", "--folded", "--address",
                   "--stack_storage_size=512"})
                  .status,
              0);
}

// No emulated machine has a counter of cycles: the rung says so, and cannot be forced.
TEST(Profile, Ladder)
{
    const Result r = run({"profile", "--check", "--explain"});
    EXPECT_EQ(r.status, 0);
    EXPECT_NE(r.err.find("cycles: no hardware cycle counter"), std::string::npos) << r.err;
    EXPECT_NE(r.err.find("cpu-clock: taken"), std::string::npos) << r.err;
    EXPECT_EQ(run({"profile", "--check"}, {{"COREBOX_PROBES", "cpu-clock"}}).status, 0);
    const Result forced = run({"profile", "--check"}, {{"COREBOX_PROBES", "cycles"}});
    EXPECT_EQ(forced.status, 2);
    EXPECT_NE(forced.err.find("cycles"), std::string::npos) << forced.err;
}

} // namespace
