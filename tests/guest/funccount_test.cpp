// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Calls of each function, tracepoint and USDT probe that a pattern chooses, exactly; and the attach
// points themselves (probe/points.hpp).
#include "other_self.hpp"
#include "usdt.hpp"
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

USDT_SEMAPHORE(cbtest_counted_semaphore);

extern "C" {
[[gnu::noinline, gnu::noipa]] int cbtest_counted_one(int n)
{
    USDT_PROBE("cbtest", "plain", "0", n, long(n));
    return n + 1;
}
[[gnu::noinline, gnu::noipa]] int cbtest_counted_two(int n)
{
    if (cbtest_counted_semaphore) // what such programs do: nobody listens, nothing to prepare
        USDT_PROBE("cbtest", "watched", "cbtest_counted_semaphore", n, long(n));
    return n + 2;
}
}

namespace cbtest
{
// A name that compilers encode.
[[gnu::noinline, gnu::noipa]] int counted_method(int n) { return n + 3; }
} // namespace cbtest

namespace
{

using namespace corebox::test;

constexpr int kOne = 1000, kTwo = 77, kMethod = 13, kReads = 137, kDirs = 9, kYields = 41;

std::uint64_t calls(const Records& records, const std::string& function)
{
    std::uint64_t n = 0;
    for (const Json& r : with(records, "function", function))
        n += r["count"].get<std::uint64_t>();
    return n;
}

void work(const std::string& dir)
{
    int n = 0;
    for (int i = 0; i < kOne; i++)
        n = cbtest_counted_one(n);
    for (int i = 0; i < kTwo; i++)
        n = cbtest_counted_two(n);
    for (int i = 0; i < kMethod; i++)
        n = cbtest::counted_method(n);
    char byte;
    const int in = ::open("/dev/zero", O_RDONLY);
    for (int i = 0; i < kReads; i++)
        EXPECT_EQ(::read(in, &byte, 1), 1);
    ::close(in);
    for (int i = 0; i < kDirs; i++)
        EXPECT_EQ(::mkdir((dir + "/" + std::to_string(i)).c_str(), 0755), 0);
    for (int i = 0; i < kYields; i++) {
        struct stat info;
        struct utsname host;
        ::sched_yield();
        // Calls that the kernel has under another name.
        EXPECT_EQ(::syscall(SYS_fstat, 0, &info), 0);
        EXPECT_EQ(::uname(&host), 0);
    }
}

// Counts what a child does, while another does the same.
Result count(std::vector<std::string> options, const std::string& pattern,
             const Environment& env = {}, bool by_pid = true)
{
    TempDir dir;
    Child child([&] { work(dir.path()); });
    TempDir elsewhere;
    Child other([&] { work(elsewhere.path()); });
    std::vector<std::string> argv{"funccount", "--json", "--explain"};
    argv.insert(argv.end(), options.begin(), options.end());
    if (by_pid)
        argv.insert(argv.end(), {"-p", std::to_string(child.pid())});
    argv.push_back(pattern);
    Tracer tracer(argv, env);
    other.go_wait(); // first: with the process of -p its tool ends
    child.go_wait();
    Result r = by_pid ? tracer.wait() : tracer.stop();
    // Calls made while a program of ours runs are not seen, but told: where functions are among
    // those chosen that interrupts call, there may be some.
    if (pattern != "*read*") {
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_EQ(r.account["lost"], 0) << r.out;
    }
    std::uint64_t sum = 0, last = 0;
    for (const Json& row : r.records) {
        EXPECT_GE(row["count"].get<std::uint64_t>(), last) << "ascending";
        last = row["count"].get<std::uint64_t>();
        EXPECT_GT(last, 0u);
        sum += last;
    }
    EXPECT_EQ(r.account["printed"], sum);
    return r;
}

// A function of a program, by its path, its name in PATH, as "the program"; by each kind of probe.
TEST(Funccount, UserFunctions)
{
    EXPECT_EQ(run({"funccount", "/proc/self/exe:cbtest_*"}).status, 2) << "corebox has none";
    for (const std::string rung : {"uprobe.multi", "uprobe"}) {
        if (rung == "uprobe.multi" && !has_multi())
            continue;
        const Result r = count({}, "/t/guest_tests:cbtest_counted_*", {{"COREBOX_PROBES", rung}});
        expect_taken(r, rung);
        EXPECT_EQ(calls(r.records, "cbtest_counted_one"), kOne) << r.out;
        EXPECT_EQ(calls(r.records, "cbtest_counted_two"), kTwo);
        EXPECT_EQ(r.records.size(), 2u);
        EXPECT_EQ(with(r.records, "module", "/t/guest_tests").size(), 2u) << r.out;
    }
    const Result both = count({}, "p:/t/guest_tests:cbtest_counted_one", {}, false);
    EXPECT_EQ(calls(both.records, "cbtest_counted_one"), 2 * kOne) << "of all processes";
    EXPECT_EQ(both.records.size(), 1u);
    const Result method = count({"-r"}, ":(cbtest_counted_two|cbtest::counted_method.*)$");
    EXPECT_EQ(calls(method.records, "cbtest::counted_method(int)"), kMethod) << method.out;
    EXPECT_EQ(calls(method.records, "cbtest_counted_two"), kTwo);
    const Result named = count({}, "guest_tests:cbtest_counted_o?e"); // mapped by the process
    EXPECT_EQ(calls(named.records, "cbtest_counted_one"), kOne);
}

constexpr const char* kCounted = "FUNCCOUNT_GATE";
[[maybe_unused]] const bool kIsCounted = as_other_self(kCounted, [] {
    for (int i = 0; i < kMethod; i++)
        cbtest_counted_one(i);
});

// Containers have files of one library: two that share a layer have the same one, a third starts
// later with a file of its own. Each call counts once, in one row.
TEST(Funccount, ALibraryOfContainers)
{
    in_namespaces(CLONE_NEWNS, [] {
        const TempDir dir("/mnt/ext4");
        const auto put = [&](const std::string& name) {
            const std::string path = dir / name;
            EXPECT_EQ(::mkdir(path.c_str(), 0755), 0);
            write_file(path + "/libcbtest.so.1", read_file("/proc/self/exe"));
            EXPECT_EQ(::chmod((path + "/libcbtest.so.1").c_str(), 0755), 0);
            return path;
        };
        const std::string layer = put("layer"), own = put("own"), empty = dir / "empty";
        ASSERT_EQ(::mkdir(empty.c_str(), 0755), 0);
        for (const char* name : {"one", "two"}) {
            ASSERT_EQ(::mkdir((dir / name).c_str(), 0755), 0);
            const std::string options = "lowerdir=" + layer + ":" + empty;
            ASSERT_EQ(::mount("overlay", (dir / name).c_str(), "overlay", 0, options.c_str()), 0);
        }
        {
            const OtherSelf one(kCounted, dir / "one/libcbtest.so.1"),
                two(kCounted, dir / "two/libcbtest.so.1");
            Tracer tracer({"funccount", "--json", "--explain", "cbtest:cbtest_counted_one"});
            const OtherSelf three(kCounted, own + "/libcbtest.so.1");
            EXPECT_TRUE(wait_until([&] {
                return tracer.err().find("attached to " + own) != std::string::npos;
            })) << tracer.err();
            for (const OtherSelf* app : {&one, &two, &three})
                app->go_wait();
            const Result r = tracer.stop();
            EXPECT_EQ(r.status, 0) << r.err;
            EXPECT_EQ(calls(r.records, "cbtest_counted_one"), 3 * kMethod) << r.out << r.err;
            EXPECT_EQ(r.records.size(), 1u) << r.out;
        }
        for (const char* name : {"one", "two"})
            EXPECT_EQ(::umount((dir / name).c_str()), 0);
    });
}

// An update puts a new program in the place of one that runs: what runs is traced, by each name.
TEST(Funccount, AProgramThatWasReplaced)
{
    const TempDir dir;
    const std::string path = dir / "cbreplaced";
    for (const std::string& name : {std::string("cbreplaced"), path, std::string()}) {
        SCOPED_TRACE(name);
        ::unlink(path.c_str());
        write_file(path, read_file("/proc/self/exe"));
        ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
        const OtherSelf app(kCounted, path);
        ASSERT_EQ(::unlink(path.c_str()), 0);
        write_file(path, read_file("/proc/self/exe")); // where a probe could go as well
        Tracer tracer(
            {"funccount", "--json", "-p", std::to_string(app.pid()), name + ":cbtest_counted_one"},
            {{"PATH", dir.path() + ":" + ::getenv("PATH")}});
        app.go_wait();
        const Result r = tracer.wait();
        EXPECT_EQ(calls(r.records, "cbtest_counted_one"), kMethod) << r.out << r.err;
        if (!name.empty()) {
            EXPECT_EQ(with(r.records, "module", path).size(), 1u) << r.out;
        }
    }
}

// Probes in notes of the program; the kernel raises the semaphore, without which one is silent.
TEST(Funccount, UsdtProbes)
{
    for (const std::string rung : {"uprobe.multi", "uprobe"}) {
        if (rung == "uprobe.multi" && !has_multi())
            continue;
        const Result r = count({}, "u:/t/guest_tests:cbtest:*", {{"COREBOX_PROBES", rung}});
        expect_taken(r, rung);
        EXPECT_EQ(calls(r.records, "cbtest:plain"), kOne) << r.out;
        EXPECT_EQ(calls(r.records, "cbtest:watched"), kTwo);
        EXPECT_EQ(r.records.size(), 2u);
    }
    const Result any = count({}, "u::plain"); // in all that the process has mapped
    EXPECT_EQ(calls(any.records, "cbtest:plain"), kOne) << any.out;
    EXPECT_EQ(any.records.size(), 1u);
    const Result all = count({}, "u:/t/guest_tests:watched", {}, false);
    EXPECT_EQ(calls(all.records, "cbtest:watched"), 2 * kTwo);
}

// Events with and without a raw tracepoint; those that did not happen are not shown.
TEST(Funccount, Tracepoints)
{
    const Result system_calls = count({}, "t:syscalls:sys_enter_mkdi*");
    expect_taken(system_calls, "tracepoint");
    EXPECT_EQ(calls(system_calls.records, "syscalls:sys_enter_mkdir") +
                  calls(system_calls.records, "syscalls:sys_enter_mkdirat"),
              kDirs);
    for (const std::string rung : {"raw_tp", "tracepoint"}) {
        const Result r =
            count({"-r"}, "t:raw_syscalls:sys_(enter|exit)", {{"COREBOX_PROBES", rung}});
        expect_taken(r, rung);
        EXPECT_GE(calls(r.records, "raw_syscalls:sys_enter"), unsigned(kReads + kDirs + kYields));
        EXPECT_EQ(r.records.size(), 2u) << r.out;
    }
    // Many system calls, and others with them: by one program.
    const Result many = count({"-r"}, "t:(syscalls:sys_(enter|exit)_.*|sched:sched_process_exit)");
    expect_taken(many, "raw_syscalls");
    for (const std::string way : {"enter", "exit"}) {
        const auto of = [&](const std::string& call) {
            return calls(many.records, "syscalls:sys_" + way + "_" + call);
        };
        EXPECT_EQ(of("sched_yield"), kYields) << many.out;
        EXPECT_EQ(of("newfstat"), kYields);
        EXPECT_EQ(of("newuname"), kYields);
        EXPECT_EQ(of("mkdir") + of("mkdirat"), kDirs);
        EXPECT_EQ(of("read"), kReads + (way == "exit")) << "and the one that waited for the tool";
    }
    EXPECT_EQ(calls(many.records, "syscalls:sys_enter_exit_group"), 1u);
    EXPECT_EQ(calls(many.records, "sched:sched_process_exit"), 1u);
    const Result r = count({}, "t:sched:*", {}, false);
    expect_taken(r, "raw_tp");
    EXPECT_GE(calls(r.records, "sched:sched_process_exit"), 2u) << r.out;
    EXPECT_GT(calls(r.records, "sched:sched_switch"), 0u);
    EXPECT_EQ(calls(r.records, "sched:sched_kthread_stop"), 0u);

    // One that is named in full needs no list.
    in_namespaces(CLONE_NEWNS, [] {
        ::umount2("/sys/kernel/debug/tracing", MNT_DETACH);
        ::umount2("/sys/kernel/debug", MNT_DETACH);
        ::umount2("/sys/kernel/tracing", MNT_DETACH);
        const Result without = run({"funccount", "--check", "t:sched:sched_switch"});
        EXPECT_EQ(without.status, 0) << without.err;
        const Result list = run({"funccount", "--check", "t:sched:*"});
        EXPECT_EQ(list.status, 2);
        EXPECT_NE(list.err.find("tracefs is not mounted"), std::string::npos) << list.err;
    });
}

// Kernel functions, in each way; only on one CPU.
TEST(Funccount, KernelFunctions)
{
    for (const std::string rung : {"kprobe.multi", "kprobe", "fentry"}) {
        if (rung == "kprobe.multi" && !has_multi())
            continue;
        const Result r = count({}, "p::vfs_[rm][ek]*", {{"COREBOX_PROBES", rung}});
        expect_taken(r, rung);
        EXPECT_EQ(calls(r.records, "vfs_read"), kReads) << r.out;
        EXPECT_EQ(calls(r.records, "vfs_mkdir"), kDirs);
    }
    const auto pinned = [](int cpu, int reads) {
        return [cpu, reads] {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET(unsigned(cpu), &set);
            EXPECT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
            char byte;
            const int in = ::open("/dev/zero", O_RDONLY);
            for (int i = 0; i < reads; i++)
                EXPECT_EQ(::read(in, &byte, 1), 1);
        };
    };
    if (cpus() < 2)
        GTEST_SKIP() << "one CPU";
    Child zero(pinned(0, 100)), one(pinned(1, 200));
    Tracer tracer({"funccount", "--json", "-c", "0", "t:syscalls:sys_enter_read", "-p",
                   std::to_string(zero.pid()) + "," + std::to_string(one.pid())});
    one.go_wait();
    zero.go_wait();
    const Result r = tracer.wait(); // ends with its processes
    EXPECT_EQ(calls(r.records, "syscalls:sys_enter_read"), 100u) << r.out;
}

// BCC's table and banner; intervals lose nothing; what is wrong is told in one line.
TEST(Funccount, TextAndBadInput)
{
    const Result forbidden = run({"funccount", "do_syscall_64"});
    EXPECT_EQ(forbidden.status, 2);
#ifdef __x86_64__
    EXPECT_NE(forbidden.err.find("the kernel forbids kprobes on do_syscall_64"), std::string::npos)
        << forbidden.err;
#endif
    const Result absent = run({"funccount", "no_such_function"});
    EXPECT_EQ(absent.status, 2);
    EXPECT_NE(absent.err.find("the kernel has no function no_such_function"), std::string::npos)
        << absent.err;
    Child child([] {
        int n = 0;
        for (int i = 0; i < 4; i++) {
            for (int k = 0; k < 250; k++)
                n = cbtest_counted_one(n);
            ::usleep(120'000);
        }
    });
    Tracer tracer({"funccount", "-i", "0.15", "-T", "-p", std::to_string(child.pid()),
                   "/t/guest_tests:cbtest_counted_*"});
    child.go_wait();
    const Result r = tracer.wait(); // ends with its process
    EXPECT_EQ(r.status, 0) << r.err;
    const auto rows = lines(r.out);
    ASSERT_GE(rows.size(), 4u) << r.out;
    EXPECT_EQ(rows[0], "Tracing 2 functions for \"/t/guest_tests:cbtest_counted_*\"... Hit Ctrl-C "
                       "to end.");
    int sum = 0, headers = 0;
    for (const std::string& line : rows) {
        const auto w = words(line);
        headers += w == std::vector<std::string>{"FUNC", "COUNT"} ? 1 : 0;
        if (w.size() == 2 && w[0] == "cbtest_counted_one")
            sum += std::stoi(w[1]);
    }
    EXPECT_EQ(sum, 1000) << r.out;
    EXPECT_GE(headers, 2);

    struct Bad {
        std::vector<std::string> argv;
        int status;
    };
    for (const auto& [argv, status] : {Bad{{"funccount"}, 1},
                                       {{"funccount", "r::vfs_read"}, 1},
                                       {{"funccount", "t:sched:"}, 1},
                                       {{"funccount", "u::x"}, 1},
                                       {{"funccount", ":x"}, 1},
                                       {{"funccount", "-r", "vfs_("}, 1},
                                       {{"funccount", "no_such_library:x"}, 2},
                                       {{"funccount", "/etc/passwd:x"}, 2},
                                       {{"funccount", "/t/guest_tests:no_such_function"}, 2},
                                       {{"funccount", "t:no_such:event"}, 2},
                                       {{"funccount", "no_such_function_*"}, 2}}) {
        const Result bad = run(argv);
        EXPECT_EQ(bad.status, status) << argv.back() << "\n" << bad.err;
        EXPECT_EQ(lines(bad.err).size(), status == 1 ? lines(bad.err).size() : 1u) << bad.err;
    }
}

// Functions that tracing itself calls: not by a wildcard, which is told; by their name, and listed.
TEST(Funccount, FunctionsOfTracingAreNamedInFull)
{
    const Result some = run({"funccount", "--check", "*bpf_prog_new_f*"});
    EXPECT_EQ(some.status, 2) << some.err;
    EXPECT_NE(some.err.find("funccount: left out 1 function of tracing itself"), std::string::npos)
        << some.err;
    const Result one = run({"funccount", "--check", "bpf_prog_new_fd"});
    EXPECT_EQ(one.status, 0) << one.err;
    EXPECT_EQ(one.err.find("left out"), std::string::npos) << one.err;
    const Result list = run({"tplist", "--json", "--functions", "bpf_prog_new_f*"});
    EXPECT_EQ(with(list.records, "name", "bpf_prog_new_fd").size(), 1u) << list.err;
    const Result none = run({"funccount", "--check", "vfs_rea*"});
    EXPECT_EQ(none.err.find("left out"), std::string::npos) << none.err;
}

// No limit of 1000, at once. Without kprobe.multi each function takes its time.
// It takes 10 s and more all the same: there are thousands.
TEST(Funccount, ThousandsOfFunctions)
{
    if (!has_multi())
        GTEST_SKIP() << "no kprobe.multi";
    const Result r = count({}, "*read*");
    const auto lost = r.account["lost"].get<std::uint64_t>();
    EXPECT_GE(calls(r.records, "vfs_read") + lost, std::uint64_t(kReads));
    const Result user = count({}, "/t/guest_tests:*");
    EXPECT_EQ(calls(user.records, "cbtest_counted_one"), kOne);
    const auto at = user.err.find("funccount: ");
    ASSERT_NE(at, std::string::npos) << user.err;
    EXPECT_GT(std::stoul(user.err.substr(at + 11)), 2000u) << user.err;
}

// In intervals, while two processes call as fast as they can: each call is in one of them.
TEST(Funccount, Flood)
{
    constexpr int kCalls = 20'000;
    const auto call = [] {
        for (int i = 0, n = 0; i < kCalls; i++)
            n = cbtest_counted_one(n);
    };
    Child a(call), b(call);
    Tracer tracer({"funccount", "-i", "0.1", "--json", "/t/guest_tests:cbtest_counted_one"});
    a.go();
    b.go();
    EXPECT_EQ(a.wait(), 0);
    EXPECT_EQ(b.wait(), 0);
    const Result r = tracer.stop();
    EXPECT_EQ(calls(r.records, "cbtest_counted_one") + r.account["lost"].get<std::uint64_t>(),
              2u * kCalls)
        << r.out;
}

} // namespace
