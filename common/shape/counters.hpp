// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "counters": one row an interval, of a fixed set of counters (bpf/counters.bpf.h).
#pragma once
#include "abi/counters.h"
#include "shape/interval.hpp"

namespace corebox
{

// What the columns read.
struct CounterRow {
    std::uint64_t time_ns = 0;     // end of the interval, CLOCK_MONOTONIC
    std::uint64_t interval_ns = 0; // its real length
    counters count{};              // events of this interval

    // Events a second, rounded.
    std::uint64_t rate(std::size_t counter) const;
};

// The sum over all CPUs. The memory is shared with the kernel side, which goes on counting.
counters read_counters(std::span<const counters> slots);

// Intervals as differences of readings; the first begins with zero counters at `start_ns`.
class CounterIntervals
{
public:
    CounterIntervals(std::span<const counters> slots, std::uint64_t start_ns)
        : slots_(slots), then_ns_(start_ns)
    {
    }
    CounterRow next(std::uint64_t now_ns);

private:
    std::span<const counters> slots_;
    std::uint64_t then_ns_;
    counters then_{};
};

template <class S>
concept HasCounters = requires(S* s) {
    s->bss->cb_counters;
    s->rodata->cb_counters_per_cpu;
};

// S: the skeleton. Options: what the command line fills; if the BPF side has a `cfg`, Options
// derives from its type. Reports every second unless told otherwise.
template <Skel S, class Options>
    requires HasCounters<S>
struct Counters {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<CounterRow> columns;
    std::span<const Need> needs;
    // Before load, for each try.
    void (*setup)(S&, Options&, const Session&) = nullptr;

    static constexpr Shared kShared =
        Shared::interval | (HasFilter<S> ? Shared::filter : Shared::none);

    static void inspect(const std::function<void(const void*)>& use)
    {
        const std::unique_ptr<S, typename Attachment<S>::Destroy> s(S::open(nullptr));
        if (s)
            use(&s->progs);
    }

    int run(const Tool& tool, int argc, char** argv) const
    {
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            session.interval = std::chrono::seconds(1);
            parse_command_line(session, &o, argc, argv);
            Command command(session);
            auto a = launch<S>(session, command, needs, [&](S& s) {
                s.rodata->cb_counters_per_cpu = libbpf_num_possible_cpus() > 1;
                if (setup)
                    setup(s, o, session);
                if constexpr (HasConfig<S>)
                    s.rodata->cfg = o;
            });
            if (session.check)
                return Exit::complete;
            Account account(session, a.account(), a.programs);
            IntervalRun run(session, columns.list, account);
            run.output().header();
            run.output().flush();
            CounterIntervals intervals(a->bss->cb_counters, monotonic_ns());
            return run.run(
                command, [&] { a.detach(); },
                [&](Output& output, bool) {
                    const CounterRow row = intervals.next(monotonic_ns());
                    for (const auto n : row.count.n)
                        account.printed += n;
                    output.row(&row);
                });
        });
    }
};

} // namespace corebox
