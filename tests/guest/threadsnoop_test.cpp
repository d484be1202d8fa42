// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "other_self.hpp"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <set>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What threads start with, by the names that the tool is to find.
extern "C" {
void* threadsnoop_first(void* arg) { return arg; }
void* threadsnoop_second(void* arg) { return arg; }
}

namespace
{

using namespace corebox::test;
using std::to_string;

void run_thread(void* (*start)(void*))
{
    pthread_t thread;
    EXPECT_EQ(::pthread_create(&thread, nullptr, start, nullptr), 0);
    EXPECT_EQ(::pthread_join(thread, nullptr), 0);
}

TEST(Threadsnoop, FiftyThreadsAndTheirFunctions)
{
    for (const std::string rung : {"", "raw_tp,perf_buffer"}) {
        Child child([] {
            for (int i = 0; i < 25; i++) {
                run_thread(threadsnoop_first);
                run_thread(threadsnoop_second);
            }
            const pid_t pid = ::fork(); // no thread
            if (pid == 0)
                ::_exit(0);
            ::waitpid(pid, nullptr, 0);
            ::usleep(200'000); // the tool asks the live process for names
        });
        const pid_t pid = child.pid();
        Tracer tracer({"threadsnoop", "--json", "-p", to_string(pid)}, forced(rung));
        child.go_wait();
        const Result result = tracer.wait();
        expect_exact(result);
        ASSERT_EQ(result.records.size(), 50u);
        std::set<pid_t> tids;
        for (std::size_t i = 0; i < 50; i++) {
            const Json& r = result.records[i];
            EXPECT_EQ(r.at("pid"), pid);
            EXPECT_EQ(r.at("parent_tid"), pid);
            EXPECT_EQ(r.at("child_pid"), pid);
            EXPECT_EQ(r.at("kind"), "thread");
            EXPECT_EQ(r.at("comm"), "guest_tests");
            EXPECT_EQ(r.at("clone_flags").get<unsigned>() & CLONE_THREAD, unsigned(CLONE_THREAD));
            tids.insert(r.at("tid").get<pid_t>());
            if (rung.empty()) { // a perf buffer is one a CPU: no order
                EXPECT_EQ(r.at("function"), i % 2 ? "threadsnoop_second" : "threadsnoop_first");
                EXPECT_EQ(r.at("start"), reinterpret_cast<std::uint64_t>(
                                             i % 2 ? threadsnoop_second : threadsnoop_first));
            }
        }
        EXPECT_EQ(tids.size(), 50u);
        EXPECT_FALSE(tids.contains(pid));
        EXPECT_EQ(count_if(result.records,
                           [](const Json& r) { return r.at("function") == "threadsnoop_first"; }),
                  25u);
    }
}

TEST(Threadsnoop, ProcessesToo)
{
    pid_t forked = 0, vforked = 0;
    Child child([&] {
        const pid_t pid = ::fork();
        if (pid == 0)
            ::_exit(0);
        ::waitpid(pid, nullptr, 0);
        const pid_t other = ::vfork();
        if (other == 0)
            ::_exit(0);
        ::waitpid(other, nullptr, 0);
        run_thread(threadsnoop_first);
        write_file("/tmp/threadsnoop.pids", to_string(pid) + " " + to_string(other));
        ::usleep(200'000);
    });
    const pid_t parent = child.pid();
    // Where nothing is known of the processes, as it is without -p.
    Tracer tracer({"threadsnoop", "--json", "--fork", "--lib",
                   "/proc/" + to_string(parent) + "/exe", "--comm", "guest_tests"});
    child.go_wait();
    Result result = tracer.stop();
    expect_exact(result);
    std::erase_if(result.records, [&](const Json& r) { return r.at("pid") != parent; });
    const auto pids = words(read_file("/tmp/threadsnoop.pids"));
    forked = std::stoi(pids.at(0));
    vforked = std::stoi(pids.at(1));
    ASSERT_EQ(result.records.size(), 3u);
    EXPECT_EQ(result.records[0].at("kind"), "process");
    EXPECT_EQ(result.records[0].at("tid"), forked);
    EXPECT_EQ(result.records[0].at("child_pid"), forked);
    EXPECT_TRUE(result.records[0].at("function").is_null());
    EXPECT_EQ(result.records[1].at("kind"), "vfork");
    EXPECT_EQ(result.records[1].at("tid"), vforked);
    EXPECT_EQ(result.records[2].at("kind"), "thread");
    EXPECT_EQ(result.records[2].at("function"), "threadsnoop_first");
}

constexpr const char* kThreads = "THREADSNOOP_GATE";
[[maybe_unused]] const bool kHasThreads = as_other_self(kThreads, [] {
    pthread_t thread;
    ::pthread_create(&thread, nullptr, threadsnoop_second, nullptr);
    ::pthread_join(thread, nullptr);
    ::usleep(300'000); // the tool asks the live process for names
});

// A program that has its C library in itself and the name of one; it creates a thread once it may.
class App : public OtherSelf
{
public:
    explicit App(const std::string& library) : OtherSelf(kThreads, copied_to(library)) {}

private:
    static const std::string& copied_to(const std::string& library)
    {
        write_file(library, read_file("/proc/self/exe"));
        EXPECT_EQ(::chmod(library.c_str(), 0755), 0);
        return library;
    }
};

// An update puts a new C library in the place of one that runs.
TEST(Threadsnoop, ALibraryThatWasReplaced)
{
    const TempDir dir;
    const std::string library = dir / "libc.so.6";
    const App app(library);
    ASSERT_EQ(::unlink(library.c_str()), 0);
    write_file(library, "a newer one");
    Tracer tracer({"threadsnoop", "--json", "--comm", "libc.so.6"});
    app.go_wait();
    const Result result = tracer.stop();
    ASSERT_EQ(result.records.size(), 1u) << result.out;
    EXPECT_EQ(result.records[0].at("pid"), app.pid());
    EXPECT_EQ(result.records[0].at("function"), "threadsnoop_second") << result.out;
}

// A container starts while the tool runs, with a C library that nobody has used before; by each
// kind of probe. The second container has the same file.
TEST(Threadsnoop, ALibraryThatIsUsedLater)
{
    for (const std::string rung : {"uprobe.multi", "uprobe"}) {
        if (rung == "uprobe.multi" && !has_multi())
            continue;
        const TempDir dir;
        const std::string library = dir / "libc.so.6";
        Tracer tracer({"threadsnoop", "--json", "--explain", "--comm", "libc.so.6"}, forced(rung));
        const App first(library);
        EXPECT_TRUE(wait_until([&] {
            return tracer.err().find("attached to " + library + " (1 place)") != std::string::npos;
        })) << tracer.err();
        first.go_wait();
        const App second(library);
        second.go_wait();
        const Result result = tracer.stop();
        expect_exact(result);
        ASSERT_EQ(result.records.size(), 2u) << result.out;
        EXPECT_EQ(result.records[0].at("pid"), first.pid());
        EXPECT_EQ(result.records[1].at("pid"), second.pid());
        for (const Json& record : result.records)
            EXPECT_EQ(record.at("function"), "threadsnoop_second") << result.out;
    }
}

// pthread_create() that fails leaves a start that the next thread of that number has nothing to do
// with.
TEST(Threadsnoop, AFailureIsForgottenWithItsThread)
{
    Child child([] {
        const pid_t failing = ::fork();
        if (failing == 0) {
            pthread_attr_t attributes;
            ::pthread_attr_init(&attributes);
            pthread_t thread;
            const bool failed =
                ::pthread_attr_setstacksize(&attributes, std::size_t(1) << 46) == 0 &&
                ::pthread_create(&thread, &attributes, threadsnoop_first, nullptr) != 0;
            ::_exit(failed ? 0 : 1);
        }
        int status = -1;
        EXPECT_EQ(::waitpid(failing, &status, 0), failing);
        EXPECT_EQ(status, 0);
        // A process of the same number creates a thread without pthread_create().
        clone_args again{};
        again.exit_signal = SIGCHLD;
        again.set_tid = reinterpret_cast<std::uintptr_t>(&failing);
        again.set_tid_size = 1;
        const long pid = ::syscall(SYS_clone3, &again, sizeof again);
        if (pid == 0) {
            alignas(16) static char stack[1 << 16];
            const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
            const int made = ::clone([](void*) { return 0; }, stack + sizeof stack, flags, nullptr);
            ::usleep(300'000);
            ::_exit(made > 0 ? 0 : 1);
        }
        EXPECT_EQ(pid, failing);
        EXPECT_EQ(::waitpid(pid_t(pid), &status, 0), pid);
        EXPECT_EQ(status, 0);
        write_file("/tmp/threadsnoop.pid", to_string(pid));
    });
    Tracer tracer({"threadsnoop", "--json", "--lib", "/proc/" + to_string(child.pid()) + "/exe",
                   "--comm", "guest_tests"});
    child.go_wait();
    const Result result = tracer.stop();
    expect_exact(result);
    const Records made = with(result.records, "pid", std::stoi(read_file("/tmp/threadsnoop.pid")));
    ASSERT_EQ(made.size(), 1u) << result.out;
    EXPECT_TRUE(made[0].at("function").is_null()) << result.out;
}

// The function is of the program that created the thread, not of what the process executes since.
TEST(Threadsnoop, AnotherProgramByNow)
{
    for (const bool known : {false, true}) {
        SCOPED_TRACE(known);
        Gate read;
        Child child([&] {
            if (known) {
                run_thread(threadsnoop_first);
                read.wait(); // its mappings are taken down
            }
            run_thread(threadsnoop_second);
            ::execlp("busybox", "sleep", "2", nullptr);
        });
        const pid_t pid = child.pid();
        Tracer tracer({"threadsnoop", "--json", "-p", to_string(pid)});
        if (!known) {
            tracer.kill(SIGSTOP);
            child.go();
        } else {
            child.go();
            tracer.wait_for("threadsnoop_first");
            tracer.kill(SIGSTOP);
            read.open();
        }
        EXPECT_TRUE(wait_until(
            [&] { return read_file("/proc/" + to_string(pid) + "/comm") == "busybox\n"; }));
        tracer.kill(SIGCONT);
        EXPECT_EQ(child.wait(), 0);
        const Result result = tracer.wait();
        expect_exact(result);
        ASSERT_EQ(result.records.size(), known ? 2u : 1u) << result.out;
        EXPECT_EQ(result.records.back().at("function"), known ? "threadsnoop_second" : "[unknown]");
    }
}

TEST(Threadsnoop, TextAndWrongLibraries)
{
    Child child([] {
        run_thread(threadsnoop_first);
        ::usleep(200'000);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"threadsnoop", "-p", to_string(pid)});
    child.go_wait();
    const auto rows = lines(tracer.wait().out);
    ASSERT_EQ(rows.size(), 2u);
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]), (Words{"TIME(ms)", "PID", "COMM", "FUNC", "TID"}));
    const Words row = words(rows[1]);
    ASSERT_EQ(row.size(), 5u);
    EXPECT_EQ(row[0], "0.000");
    EXPECT_EQ(row[1], to_string(pid));
    EXPECT_EQ(row[3], "threadsnoop_first");

    // No C library to be found: everything but FUNC.
    Child other([] { run_thread(threadsnoop_first); });
    const pid_t other_pid = other.pid();
    Tracer without({"threadsnoop", "--json", "--comm", "guest_tests"});
    other.go_wait();
    const Result result = without.stop();
    expect_exact(result);
    ASSERT_EQ(with(result.records, "pid", other_pid).size(), 1u);
    EXPECT_TRUE(with(result.records, "pid", other_pid)[0].at("function").is_null());

    EXPECT_EQ(run({"threadsnoop", "--lib", "/no/such"}).status, 2);
    EXPECT_EQ(run({"threadsnoop", "--lib", "/etc/passwd"}).status, 2);
    EXPECT_EQ(run({"threadsnoop", "--lib", ""}).status, 1);
}

TEST(Threadsnoop, Flood)
{
    constexpr int kFlood = 1500;
    Child child([] {
        for (int i = 0; i < kFlood; i++)
            run_thread(threadsnoop_second);
    });
    Tracer tracer({"threadsnoop", "--json", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact_flood(result, result.records.size(), kFlood);
}

} // namespace
