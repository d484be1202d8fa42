// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The exact account of a run: seen = printed + filtered + lost.
#pragma once
#include "abi/account.h"
#include "kernel/ftrace.hpp"
#include "output/lost.hpp"
#include <span>
#include <string>
#include <vector>

struct bpf_program;

namespace corebox
{

struct Tool;

class Account
{
public:
    // `programs`: those of which the kernel may skip a run, and counts it. `depends_on_ftrace`:
    // some of the run's programs fire only while ftrace is on.
    Account(std::span<const cpu_account> kernel, std::vector<const bpf_program*> programs,
            bool depends_on_ftrace = false);

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
    // What the tool could not know besides, in words: "8 frees of unknown addresses".
    std::string note;

    // Whether probes fell silent; the host looks at least once a second.
    FtraceWatch ftrace;
    // Records that were still in the buffer when the run had to end.
    std::uint64_t unread = 0;

    Lost lost() const;
    Totals totals() const;

private:
    std::uint64_t kernel_filtered() const;

    std::span<const cpu_account> kernel_;
    std::vector<const bpf_program*> programs_;
};

// "12 lost (10 buffer full, 2 map full)"
std::string describe(const Lost& lost);
// "seen = printed + filtered + lost", in words.
std::string describe(const Totals& totals);
// "; see --buffer-size": the option that gives more room where it is short. Empty: there is none.
std::string loss_hint(const Tool& tool, const Lost& lost);

} // namespace corebox
