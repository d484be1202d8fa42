// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A run: one tool that traces, from its attached programs to its account. It is a value that knows
// nothing of the process it is in: whoever hosts it (session/host.hpp, an exporter, a test) waits
// for it, calls it, and brings it to its end.
#pragma once
#include "base/erased.hpp"
#include "output/sink.hpp"
#include "session/account.hpp"
#include "session/session.hpp"

namespace corebox
{

// What a run does, as functions of its state: a table for each type of state, as small as can be,
// since every tool has its own. Null: not needed. Calls may fail(); one that lacked memory where it
// cannot throw sets Run::out_of_memory.
struct RunCalls {
    void (*begin)(void* state) = nullptr; // once, first: what stands before all rows
    bool (*drain)(void* state) = nullptr; // takes what waits; true: more may wait
    std::uint64_t (*count_unread)(void* state) = nullptr; // what drain() would take
    void (*report)(void* state, bool last) = nullptr;     // an interval is over, or the run
    bool (*press)(void* state, char key) = nullptr; // a key of the terminal; false: the run ends
    bool (*is_complete)(void* state) = nullptr;     // has printed all that was requested
    // No program runs afterwards, and nothing is in flight.
    void (*detach)(void* state) = nullptr;
};

// The table of a State: those of these functions that it has as members.
template <class State>
consteval RunCalls calls_of()
{
    RunCalls calls;
    if constexpr (requires(State & s) { s.begin(); })
        calls.begin = [](void* s) { static_cast<State*>(s)->begin(); };
    if constexpr (requires(State & s) { s.drain(); })
        calls.drain = [](void* s) { return static_cast<State*>(s)->drain(); };
    if constexpr (requires(State & s) { s.count_unread(); })
        calls.count_unread = [](void* s) { return static_cast<State*>(s)->count_unread(); };
    if constexpr (requires(State & s) { s.report(true); })
        calls.report = [](void* s, bool last) { static_cast<State*>(s)->report(last); };
    if constexpr (requires(State & s) { s.press('q'); })
        calls.press = [](void* s, char key) { return static_cast<State*>(s)->press(key); };
    if constexpr (requires(State & s) { s.is_complete(); })
        calls.is_complete = [](void* s) { return static_cast<State*>(s)->is_complete(); };
    calls.detach = [](void* s) { static_cast<State*>(s)->detach(); };
    return calls;
}
template <class State>
inline constexpr RunCalls kCallsOf = calls_of<State>();

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
    int data_fd = -1;        // readable when drain() has something to do
    bool takes_keys = false; // of the terminal
    bool out_of_memory = false;

    template <class State>
    void set_state(std::unique_ptr<State> state)
    {
        calls_ = &kCallsOf<State>;
        state_ = adopt(std::move(state));
    }

    void begin() { calls_->begin ? calls_->begin(state_.get()) : void(); }
    bool drain() { return calls_->drain && calls_->drain(state_.get()); }
    std::uint64_t count_unread()
    {
        return calls_->count_unread ? calls_->count_unread(state_.get()) : 0;
    }
    void report(bool last) { calls_->report ? calls_->report(state_.get(), last) : void(); }
    bool press(char key) { return !calls_->press || calls_->press(state_.get(), key); }
    bool is_complete() { return calls_->is_complete && calls_->is_complete(state_.get()); }
    void detach() { calls_->detach(state_.get()); }

private:
    const RunCalls* calls_ = nullptr;
    Erased state_;
};

} // namespace corebox
