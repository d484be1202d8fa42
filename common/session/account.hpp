// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The exact account of a run: seen = printed + filtered + lost.
#pragma once
#include "abi/account.h"
#include "kernel/ftrace.hpp"
#include "session/session.hpp"

struct bpf_program;

namespace corebox
{

struct Lost {
    std::uint64_t ring = 0;  // no room in the ring or perf buffer
    std::uint64_t map = 0;   // a hash map was full
    std::uint64_t stack = 0; // no stack id
    // The kernel did not run the program, which was already running there; or no room so deep.
    std::uint64_t skipped = 0;
    std::uint64_t returns = 0; // seen to begin and never to end
    std::uint64_t cut = 0;     // unread when the tool had to end at once

    std::uint64_t total() const { return ring + map + stack + skipped + returns + cut; }
    bool operator==(const Lost&) const = default;
};

class Account
{
public:
    Account(const Session& session, std::span<const cpu_account> kernel,
            std::vector<const bpf_program*> programs);

    // What the shape reports: rows printed (or, in aggregates, events counted) and what user space
    // filtered.
    std::uint64_t printed = 0;
    std::uint64_t filtered = 0;
    // Calls that the kernel side waits for in vain, found at the end.
    std::uint64_t unreturned = 0;
    // Rows that were shown without a stack that found no room: they are not among the printed.
    std::uint64_t stackless = 0;
    // Runs that the kernel skipped of programs that are not libbpf's (copies: probe/functions.hpp).
    std::uint64_t nested = 0;

    // Reports new losses, at most once a second: a line on stderr, a record in JSON. The same for
    // probes that fell silent or fire again: call it at least once a second.
    void report_losses(Output& output);

    // The account itself; returns the exit status that follows from it.
    Exit finish(Output& output);

    Lost lost() const;

private:
    std::uint64_t kernel_filtered() const;
    void report_silence(Output& output, std::uint64_t now_ns);
    void put_lost(std::string& out, const Lost& lost) const;

    const Session& session_;
    std::span<const cpu_account> kernel_;
    std::vector<const bpf_program*> programs_;
    Lost told_{};
    std::uint64_t told_ns_ = 0;
    FtraceWatch ftrace_;
};

} // namespace corebox
