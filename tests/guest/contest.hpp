// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tests of scheduler tools cause: busy threads and waits of known length on one CPU.
#pragma once
#include "harness.hpp"
#include <cerrno>
#include <csignal>
#include <ctime>
#include <linux/sched.h>
#include <list>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace corebox::test
{

// The clock of the 5.10 guest ticks every 4 ms.
inline constexpr unsigned kSlackUs = 10'000;
inline constexpr unsigned kHogUs = 60'000;

inline std::uint64_t now_us()
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::uint64_t(t.tv_sec) * 1'000'000 + std::uint64_t(t.tv_nsec) / 1000;
}

inline void spin_us(std::uint64_t us)
{
    for (const auto end = now_us() + us; now_us() < end;)
        continue;
}

// The last CPU: the first one serves most interrupts.
inline void pin(unsigned cpu = cpus() - 1)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    EXPECT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
}

inline void real_time(int priority)
{
    const sched_param param{priority};
    EXPECT_EQ(::sched_setscheduler(0, SCHED_FIFO, &param), 0);
}

inline void name(const char* comm) { ::prctl(PR_SET_NAME, comm); }

inline bool sleeps(pid_t pid)
{
    return words(read_file("/proc/" + std::to_string(pid) + "/stat")).at(2) == "S";
}

// A thread of higher priority wakes another one on its CPU and keeps the CPU for a known time: the
// other one waits exactly that long, and whoever had the CPU before is known.
class Contest
{
public:
    explicit Contest(const char* waiter_name = "waiter-a", std::uint64_t hog_us = kHogUs)
        : waiter([this, waiter_name] {
              pin();
              name(waiter_name);
              real_time(10); // no ordinary task comes between
              ready_.open();
              wake_.wait();
          }),
          hog([this, hog_us] {
              pin();
              name("the-hog");
              real_time(50);
              wake_.open();
              spin_us(hog_us);
              // Gives the CPU away alive: whoever exits may be reaped, and its IDs gone, before the
              // switch.
              ::usleep(1000);
          })
    {
        // What it waited for before, on a busy host for long, is not to be seen.
        waiter.go();
        ready_.wait();
        EXPECT_TRUE(wait_until([&] { return sleeps(waiter_pid); }));
    }

    void run()
    {
        hog.go_wait();
        EXPECT_EQ(waiter.wait(), 0);
    }

private:
    Gate ready_, wake_;

public:
    Child waiter, hog;
    const pid_t waiter_pid = waiter.pid(), hog_pid = hog.pid();
};

// Two processes on the last CPU that hand it back and forth, so often: the only ones of their
// priority.
class PingPong
{
public:
    explicit PingPong(unsigned rounds)
        : ping([this, rounds] {
              pin();
              name("ping");
              real_time(20);
              for (unsigned i = 0; i < rounds; i++) {
                  there_.open();
                  back_.wait();
              }
          }),
          pong([this, rounds] {
              pin();
              name("pong");
              real_time(20);
              for (unsigned i = 0; i < rounds; i++) {
                  there_.wait();
                  back_.open();
              }
          })
    {
    }
    std::string pids() const { return std::to_string(ping_pid) + "," + std::to_string(pong_pid); }
    void run()
    {
        pong.go();
        ping.go_wait();
        EXPECT_EQ(pong.wait(), 0);
    }

private:
    Gate there_, back_;

public:
    Child ping, pong;
    const pid_t ping_pid = ping.pid(), pong_pid = pong.pid();
};

// What the kernel itself says of a process: nanoseconds that it ran, and how often it got a CPU.
// One that was preempted as a zombie got it once more to vanish, maybe when the tool had ended
// already, or after the kernel was asked: twice is the most that a tool may differ.
inline constexpr std::uint64_t kZombie = 2;
struct Ran {
    std::uint64_t ns, slices;

    static Ran of(pid_t pid)
    {
        const auto fields = words(read_file("/proc/" + std::to_string(pid) + "/schedstat"));
        return {std::stoull(fields.at(0)), std::stoull(fields.at(2))};
    }
};

// Lets `child` work to its end and tells what the kernel says of that.
inline Ran run_and_ask(Child& child)
{
    const Ran before = Ran::of(child.pid());
    child.go();
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, id_t(child.pid()), &info, WEXITED | WNOWAIT), 0);
    const Ran after = Ran::of(child.pid()); // it is no more, but not forgotten
    EXPECT_EQ(child.wait(), 0);
    return {after.ns - before.ns, after.slices - before.slices};
}

// A process with this number; -1 with errno set.
inline pid_t with_number(pid_t number, const std::function<void()>& work)
{
    clone_args args{};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<std::uintptr_t>(&number);
    args.set_tid_size = 1;
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        work();
        ::_exit(0);
    }
    return pid_t(pid);
}

// Processes, each a thread, with numbers that have one slot in the tables of the scheduler tools
// (sched/threads.hpp): for that the kernel has to give out higher numbers. They are there, asleep,
// when this is made.
class SameSlot
{
public:
    static constexpr pid_t kSlots = 1 << 18;

    SameSlot(unsigned n, const std::function<void()>& work)
        : pid_max_(read_file("/proc/sys/kernel/pid_max"))
    {
        write_file("/proc/sys/kernel/pid_max", "4194304");
        for (unsigned i = 0; i < n; i++) {
            Process& p = processes_.emplace_back();
            const pid_t number = 300'000 + pid_t(i) * kSlots;
            p.pid = with_number(number, [&] {
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
                pin();
                p.go.wait();
                work();
            });
            EXPECT_EQ(p.pid, number) << errno;
            EXPECT_TRUE(wait_until([&] { return sleeps(number); }));
        }
    }
    ~SameSlot() { write_file("/proc/sys/kernel/pid_max", pid_max_); }
    SameSlot(const SameSlot&) = delete;
    SameSlot& operator=(const SameSlot&) = delete;

    std::vector<pid_t> tids() const
    {
        std::vector<pid_t> all;
        for (const Process& p : processes_)
            all.push_back(p.pid);
        return all;
    }

    void go() const
    {
        for (const Process& p : processes_)
            p.go.open();
    }

    // Waits for their ends: what the kernel says of each, from before go() on.
    std::map<pid_t, Ran> run_and_ask()
    {
        std::map<pid_t, Ran> ran;
        for (const Process& p : processes_)
            ran[p.pid] = Ran::of(p.pid);
        go();
        for (const Process& p : processes_) {
            siginfo_t info{};
            EXPECT_EQ(::waitid(P_PID, id_t(p.pid), &info, WEXITED | WNOWAIT), 0);
            const Ran after = Ran::of(p.pid), before = ran.at(p.pid);
            ran[p.pid] = {after.ns - before.ns, after.slices - before.slices};
            EXPECT_EQ(::waitpid(p.pid, nullptr, 0), p.pid);
        }
        return ran;
    }

private:
    struct Process {
        pid_t pid = 0;
        Gate go;
    };
    std::string pid_max_;
    std::list<Process> processes_;
};

// Of histograms: all values, and those in buckets that begin at `from` or above.
inline std::uint64_t values(const Records& records, std::uint64_t from = 0)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        for (const Json& b : r.at("buckets"))
            n += b.at("from").get<std::uint64_t>() >= from ? b.at("count").get<std::uint64_t>() : 0;
    return n;
}

inline double sum_of(const Records& records, const char* key = "sum")
{
    double sum = 0;
    for (const Json& r : records)
        sum += r.at(key).get<double>();
    return sum;
}

} // namespace corebox::test
