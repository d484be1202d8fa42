// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Waiting for several runs at once: for data, for the next interval, for the end. One epoll, no
// signal handlers.
#pragma once
#include "base/fd.hpp"
#include "session/keys.hpp"
#include "session/session.hpp"

namespace corebox
{

class Loop
{
public:
    // What a run was woken by, the most urgent last. `data`: records may wait; `key`: keys were
    // pressed; `tick`: an interval is over; `stop`: the run ends (a signal, a closed pipe,
    // --duration, the end of its targets).
    enum class Wake : std::uint8_t { data, key, tick, stop };

    // Takes SIGINT, SIGTERM and SIGHUP from here on.
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Watches for one more run, whose number is the count of those before: its timers start, and
    // its targets are watched. `data_fd`: epoll-able, or -1. With it wait() returns every 100 ms at
    // the latest, since the kernel side wakes its reader rarely.
    void add(const Session& session, int data_fd);
    // It has ended.
    void remove(std::size_t run);

    // From now on keys wake a run too. Released before a second signal could end the process.
    void watch_keys(Keys& keys, std::size_t run);

    // By run; valid until the next call.
    std::span<const Wake> wait() { return wait(timeout_ms_); }
    std::span<const Wake> poll() { return wait(0); } // without waiting

private:
    struct Watched {
        Fd interval, duration;
        std::uint64_t intervals = 0; // the last one ends the run; 0: another thing does
        std::vector<Fd> targets;
        bool targets_gone = false;          // all ended before they could be watched
        std::vector<std::uint32_t> threads; // -t: polled, a thread has no pidfd before 6.9
    };

    std::span<const Wake> wait(int timeout_ms);
    void watch(int fd, std::uint32_t events, std::uint64_t what);
    void wake(std::size_t run, Wake wake);
    void wake_all(Wake wake);
    void look_after_threads();

    Fd epoll_, signals_;
    std::vector<Watched> runs_;
    std::vector<Wake> wakes_;
    int timeout_ms_ = -1;
    std::uint64_t threads_seen_ns_ = 0;
    Keys* keys_ = nullptr;
    std::size_t keys_run_ = 0;
    bool keys_wait_ = false; // pressed, and not handed on yet
};

} // namespace corebox
