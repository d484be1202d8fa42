// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/loop.hpp"
#include "base/signals.hpp"
#include "session/privileges.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

namespace corebox
{
namespace
{

constexpr int kPollMs = 100;

enum What : std::uint64_t { kData, kSignal, kInterval, kDuration, kTarget, kOutput, kKeys };

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
        fail("timerfd", errno);
    return fd;
}

} // namespace

Command::Command(const Session& session)
{
    if (session.command.empty())
        return;
    int go[2], failed[2];
    if (::pipe2(go, O_CLOEXEC) != 0 || ::pipe2(failed, O_CLOEXEC) != 0)
        fail("pipe", errno);
    pid_ = ::fork();
    if (pid_ < 0)
        fail("fork", errno);
    if (pid_ == 0) {
        ::close(go[1]);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        char byte;
        // The other end closes without a byte when the tool could not start.
        if (::read(go[0], &byte, 1) != 1)
            ::_exit(127);
        ::prctl(PR_SET_PDEATHSIG, 0);
        ::execvp(session.command[0], session.command.data());
        const int code = errno;
        [[maybe_unused]] const ssize_t n = ::write(failed[1], &code, sizeof code);
        ::_exit(code == ENOENT ? 127 : 126);
    }
    ::close(go[0]);
    ::close(failed[1]);
    go_ = Fd(go[1]);
    failed_ = Fd(failed[0]);
    name_ = session.command[0];
}

Command::~Command()
{
    if (pid_ == 0)
        return;
    go_ = Fd();
    ::waitpid(pid_, nullptr, WNOHANG);
}

void Command::start()
{
    if (pid_ == 0)
        return;
    if (::write(go_.get(), "", 1) != 1)
        fail("start the command", errno);
    go_ = Fd();
    // It closes when the command begins.
    int code = 0;
    if (::read(failed_.get(), &code, sizeof code) == sizeof code)
        fail(cat("run ", name_), code);
    failed_ = Fd();
}

Loop::Loop(const Session& session, const Command& command, int data_fd)
    : epoll_(epoll_create1(EPOLL_CLOEXEC))
{
    const sigset_t set = ending_signals();
    sigprocmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!epoll_ || !signals_)
        fail("epoll", errno);
    watch(signals_.get(), EPOLLIN, kSignal);
    if (data_fd >= 0) {
        watch(data_fd, EPOLLIN, kData);
        timeout_ms_ = kPollMs;
    }
    if (session.interval.count()) {
        interval_ = timer(session.interval, true);
        watch(interval_.get(), EPOLLIN, kInterval);
    }
    if (session.duration.count()) {
        duration_ = timer(session.duration, false);
        watch(duration_.get(), EPOLLIN, kDuration);
    }
    std::vector<std::uint32_t> pids = session.pids;
    if (command.pid())
        pids = {command.pid()};
    for (const auto pid : pids) {
        // One of several targets may end; the run ends with the last.
        if (Fd fd(int(::syscall(SYS_pidfd_open, pid, 0))); fd) {
            watch(fd.get(), EPOLLIN, kTarget | std::uint64_t(fd.get()) << 32);
            targets_.push_back(std::move(fd));
        }
    }
    // They existed when the filter was made.
    targets_gone_ = !pids.empty() && targets_.empty();
    threads_ = session.tids;
    if (!threads_.empty())
        timeout_ms_ = kPollMs;
    // A reader that goes away shows as an error on the pipe, even while nothing is written. A file
    // cannot be watched and cannot go away.
    epoll_event event{.events = EPOLLERR, .data = {.u64 = kOutput}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, STDOUT_FILENO, &event);

    drop_privileges(session);
    say(session.tool, "tracing; Ctrl-C ends");
    if (session.ready_fd >= 0) {
        if (::write(session.ready_fd, "\n", 1) != 1)
            fail(cat("--ready-fd ", session.ready_fd), errno);
        ::close(session.ready_fd);
    }
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
        fail("epoll_ctl", errno);
}

void Loop::watch_keys(Keys& keys)
{
    if (!keys.active())
        return;
    keys_ = &keys;
    // Told once: in the background they are not ours to read.
    watch(STDIN_FILENO, EPOLLIN | EPOLLET, kKeys);
}

Loop::Wake Loop::wait(int timeout_ms)
{
    if (targets_gone_)
        return Wake::stop;
    epoll_event events[8];
    const int n = epoll_wait(epoll_.get(), events, 8, keys_wait_ ? 0 : timeout_ms);
    if (n < 0 && errno != EINTR)
        fail("epoll_wait", errno);
    Wake wake = Wake::data;
    for (int i = 0; i < n; i++) {
        const std::uint64_t what = events[i].data.u64;
        switch (What(what & 0xffffffff)) {
        case kData:
            break;
        case kInterval: {
            std::uint64_t expirations;
            if (::read(interval_.get(), &expirations, sizeof expirations) > 0 && wake == Wake::data)
                wake = Wake::tick;
            break;
        }
        case kTarget:
            std::erase_if(targets_,
                          [&](const Fd& fd) { return std::uint64_t(fd.get()) == what >> 32; });
            if (targets_.empty())
                wake = Wake::stop;
            break;
        case kSignal: {
            // The user asks again: leave at once, whatever is still to print.
            signalfd_siginfo info;
            while (::read(signals_.get(), &info, sizeof info) > 0)
                continue;
            if (keys_)
                keys_->release();
            const sigset_t set = ending_signals();
            sigprocmask(SIG_UNBLOCK, &set, nullptr);
            wake = Wake::stop;
            break;
        }
        case kKeys:
            keys_wait_ = true;
            break;
        case kDuration:
        case kOutput:
            wake = Wake::stop;
            break;
        }
    }
    if (!threads_.empty() && n == 0) {
        std::erase_if(threads_, [](std::uint32_t tid) {
            return ::access(cat("/proc/", tid).c_str(), F_OK) != 0;
        });
        if (threads_.empty())
            wake = Wake::stop;
    }
    if (wake == Wake::data && keys_wait_) {
        keys_wait_ = false;
        wake = Wake::key;
    }
    return wake;
}

} // namespace corebox
