// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A run: one tool that traces, from its attached programs to its account. It is a value that knows
// nothing of the process it is in: whoever hosts it (session/host.hpp, an exporter, a test) waits
// for it, calls it, and brings it to its end.
#pragma once
#include "output/sink.hpp"
#include "session/account.hpp"
#include "session/session.hpp"
#include <functional>
#include <memory>

namespace corebox
{

struct Run {
    Run(std::unique_ptr<const Session> s, std::unique_ptr<Sink> k, Account a)
        : session(std::move(s)), sink(std::move(k)), account(std::move(a))
    {
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    std::unique_ptr<const Session> session;
    std::unique_ptr<Sink> sink;
    Account account;

    // What follows is set by the shape. A call that is not set is not needed. Calls may fail(); one
    // that lacked memory sets `out_of_memory` where it cannot throw.
    int data_fd = -1;                         // readable when drain() has something to do
    std::function<void()> begin{};            // once, first: what stands before all rows
    std::function<bool()> drain{};            // takes what waits; true: more may wait
    std::function<void(bool last)> report{};  // an interval is over, or the run
    std::function<bool(char key)> press{};    // takes the keys of a terminal; false: the run ends
    std::function<bool()> is_complete{};      // has printed all that was requested
    std::function<void()> detach{};           // no program runs afterwards, and nothing is in flight
    bool out_of_memory = false;
};

} // namespace corebox
