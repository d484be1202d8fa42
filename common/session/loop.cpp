// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/loop.hpp"
#include "base/signals.hpp"
#include "session/later_files.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr int kPollMs = 100;
constexpr std::uint64_t kPollNs = kPollMs * 1'000'000ull;

enum class What : std::uint8_t { data, signal, interval, duration, target, output, keys };

// What epoll gives back: what happened, to which run, and for one of its targets its descriptor.
constexpr std::uint64_t tag(What what, std::size_t run = 0, int fd = 0)
{
    return std::uint64_t(fd) << 32 | std::uint64_t(run) << 8 | std::uint64_t(what);
}

// A hang-up that is ignored, as under nohup(1), is none. (A script's background commands ignore
// interrupts, too, but one that is sent all the same is meant.)
sigset_t ending_signals()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int s : kEndingSignals)
        sigaddset(&set, s);
    struct sigaction hang_up {
    };
    if (::sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler == SIG_IGN)
        sigdelset(&set, SIGHUP);
    return set;
}

Fd timer(Seconds every, bool repeat)
{
    Fd fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    const auto ns = every.count();
    const timespec t{time_t(ns / 1'000'000'000), long(ns % 1'000'000'000)};
    const itimerspec spec{repeat ? t : timespec{}, t};
    if (!fd || timerfd_settime(fd.get(), 0, &spec, nullptr) != 0)
        fail("cannot create a timer", errno);
    return fd;
}

} // namespace

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC))
{
    const sigset_t set = ending_signals();
    sigprocmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!epoll_ || !signals_)
        fail("cannot create the event loop", errno);
    watch(signals_.get(), EPOLLIN, tag(What::signal));
    // A reader that goes away shows as an error on the pipe, even while nothing is written. A file
    // cannot be watched and cannot go away.
    epoll_event event{.events = EPOLLERR, .data = {.u64 = tag(What::output)}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, STDOUT_FILENO, &event);
}

Loop::~Loop()
{
    // A signal that came while the run was ending asked for what was under way.
    const sigset_t set = ending_signals();
    const timespec at_once{};
    while (sigtimedwait(&set, nullptr, &at_once) > 0)
        continue;
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

void Loop::watch(int fd, std::uint32_t events, std::uint64_t what)
{
    epoll_event event{.events = events, .data = {.u64 = what}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        fail("cannot watch a file descriptor", errno);
}

void Loop::add(const Session& session, int data_fd)
{
    const std::size_t run = runs_.size();
    Watched& w = runs_.emplace_back();
    if (data_fd >= 0) {
        watch(data_fd, EPOLLIN, tag(What::data, run));
        timeout_ms_ = kPollMs;
    }
    // Files that processes map later are attached to without delay.
    if (session.later && session.later->fd() >= 0)
        watch(session.later->fd(), EPOLLIN, tag(What::data, run));
    if (session.interval.count()) {
        w.interval = timer(session.interval, true);
        watch(w.interval.get(), EPOLLIN, tag(What::interval, run));
    }
    if (session.interval.count() && session.duration % session.interval == Seconds(0)) {
        // Two timers would expire in either order: an empty interval would follow the last one.
        w.intervals = std::uint64_t(session.duration / session.interval);
    } else if (session.duration.count()) {
        w.duration = timer(session.duration, false);
        watch(w.duration.get(), EPOLLIN, tag(What::duration, run));
    }
    std::vector<std::uint32_t> pids = session.pids;
    if (session.tree_root)
        pids = {session.tree_root};
    for (const auto pid : pids) {
        // One of several targets may end; the run ends with the last.
        if (Fd fd(int(::syscall(SYS_pidfd_open, pid, 0))); fd) {
            watch(fd.get(), EPOLLIN, tag(What::target, run, fd.get()));
            w.targets.push_back(std::move(fd));
        }
    }
    // They existed when the filter was made.
    w.targets_gone = !pids.empty() && w.targets.empty();
    w.threads = session.tids;
    if (!w.threads.empty())
        timeout_ms_ = kPollMs;
}

void Loop::remove(std::size_t run)
{
    runs_[run] = {}; // closed descriptors are no longer watched
}

void Loop::watch_keys(Keys& keys, std::size_t run)
{
    if (!keys.active())
        return;
    keys_ = &keys;
    keys_run_ = run;
    // Reported once: in the background they are not ours to read.
    watch(STDIN_FILENO, EPOLLIN | EPOLLET, tag(What::keys));
}

void Loop::wake(std::size_t run, Wake wake) { wakes_[run] = std::max(wakes_[run], wake); }

void Loop::wake_all(Wake wake)
{
    for (Wake& w : wakes_)
        w = std::max(w, wake);
}

// By the clock, not when nothing else woke the loop: intervals may be shorter than the wait.
void Loop::look_after_threads()
{
    const std::uint64_t now = monotonic_ns();
    if (now - threads_seen_ns_ < kPollNs)
        return;
    threads_seen_ns_ = now;
    for (std::size_t run = 0; run < runs_.size(); run++) {
        auto& threads = runs_[run].threads;
        if (threads.empty())
            continue;
        std::erase_if(threads, [](std::uint32_t tid) {
            return ::access(cat("/proc/", tid).c_str(), F_OK) != 0;
        });
        if (threads.empty())
            wake(run, Wake::stop);
    }
}

std::span<const Loop::Wake> Loop::wait(int timeout_ms)
{
    wakes_.assign(runs_.size(), Wake::data);
    bool gone = false;
    for (std::size_t run = 0; run < runs_.size(); run++)
        if (runs_[run].targets_gone) {
            wake(run, Wake::stop);
            gone = true;
        }
    epoll_event events[16];
    const int n =
        epoll_wait(epoll_.get(), events, std::size(events), gone || keys_wait_ ? 0 : timeout_ms);
    if (n < 0 && errno != EINTR)
        fail("cannot wait for events", errno);
    for (int i = 0; i < n; i++) {
        const std::uint64_t what = events[i].data.u64;
        const std::size_t run = what >> 8 & 0xffffff;
        switch (What(what & 0xff)) {
        case What::data:
            break;
        case What::interval: {
            std::uint64_t expirations;
            if (::read(runs_[run].interval.get(), &expirations, sizeof expirations) <= 0)
                break;
            std::uint64_t& left = runs_[run].intervals;
            const bool is_last = left && expirations >= left;
            left -= is_last || !left ? left : expirations;
            wake(run, is_last ? Wake::stop : Wake::tick);
            break;
        }
        case What::target:
            std::erase_if(runs_[run].targets,
                          [&](const Fd& fd) { return std::uint64_t(fd.get()) == what >> 32; });
            if (runs_[run].targets.empty())
                wake(run, Wake::stop);
            break;
        case What::signal: {
            // The user asks again: leave at once, whatever is still to print.
            signalfd_siginfo info;
            while (::read(signals_.get(), &info, sizeof info) > 0)
                continue;
            if (keys_)
                keys_->release();
            const sigset_t set = ending_signals();
            sigprocmask(SIG_UNBLOCK, &set, nullptr);
            wake_all(Wake::stop);
            break;
        }
        case What::keys:
            keys_wait_ = true;
            break;
        case What::duration:
            wake(run, Wake::stop);
            break;
        case What::output:
            wake_all(Wake::stop);
            break;
        }
    }
    look_after_threads();
    // Keys wait for a moment without an interval to report.
    if (keys_wait_ && wakes_[keys_run_] == Wake::data) {
        keys_wait_ = false;
        wakes_[keys_run_] = Wake::key;
    }
    return wakes_;
}

} // namespace corebox
