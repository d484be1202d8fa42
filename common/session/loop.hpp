// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Waiting: for data, for the next interval, for the end. One epoll, no signal handlers.
#pragma once
#include "base/fd.hpp"
#include "session/keys.hpp"
#include "session/session.hpp"

namespace corebox
{

// The process of `-- command`: forked before the probes are loaded, so that the filter knows its
// PID; it runs the command only once they are attached.
class Command
{
public:
    explicit Command(const Session& session); // forks if there is a command
    ~Command();                               // a command that was never started is ended
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;

    std::uint32_t pid() const { return std::uint32_t(pid_); } // 0: no command
    void start(); // lets it exec; fails where it cannot be

private:
    int pid_ = 0;
    Fd go_, failed_; // the latter has the errno of a command that could not be run
    std::string name_;
};

class Loop
{
public:
    // What ended the wait. `data`: records may wait; `key`: keys were pressed; `tick`: an interval
    // is over; `stop`: the run ends (signal, closed pipe, --duration, death of the target).
    enum class Wake : std::uint8_t { data, key, tick, stop };

    // Made once all is attached and the buffers are open: it watches for the end of the targets,
    // takes SIGINT, SIGTERM and SIGHUP from here on, and then tells the user and --ready-fd that
    // the tool traces. Whoever waited for that may at once end the target or the tool. `data_fd`:
    // epoll-able, or -1. With `data_fd`, wait() returns every 100 ms at the latest, since the
    // kernel side wakes its reader rarely.
    Loop(const Session& session, const Command& command, int data_fd);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // From now on keys end a wait too. Released before a second signal could end the process.
    void watch_keys(Keys& keys);

    Wake wait() { return wait(timeout_ms_); }
    Wake poll() { return wait(0); } // without waiting

private:
    Wake wait(int timeout_ms);
    void watch(int fd, std::uint32_t events, std::uint64_t what);

    Fd epoll_, signals_, interval_, duration_;
    std::vector<Fd> targets_;
    bool targets_gone_ = false;          // all ended before they could be watched
    std::vector<std::uint32_t> threads_; // -t: polled, a thread has no pidfd before 6.9
    int timeout_ms_ = -1;
    Keys* keys_ = nullptr;
    bool keys_wait_ = false; // pressed, and not told yet
};

} // namespace corebox
