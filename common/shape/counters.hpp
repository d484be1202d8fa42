// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "counters": one row an interval, of a fixed set of counters (bpf/counters.bpf.h).
#pragma once
#include "abi/counters.h"
#include "shape/interval.hpp"
#include <ctime>
#include <optional>

namespace corebox
{

// What the columns read.
struct CounterRow {
    std::uint64_t time_ns = 0;     // end of the interval, CLOCK_MONOTONIC
    std::uint64_t interval_ns = 0; // its real length
    counters count{};              // events of this interval

    // Events a second, rounded.
    std::uint64_t per_second(std::uint64_t events) const;
    std::uint64_t rate(std::size_t counter) const { return per_second(count.n[counter]); }
};

// The sum over all CPUs. The memory is shared with the kernel side, which goes on counting.
counters read_counters(std::span<const counters> slots);

// A kernel function that the kernel side counts each call of, without a condition, and where.
struct CountedCall {
    std::string_view function;
    std::size_t counter;
};

// Calls for which the kernel did not run the program, known by its own count (recursion_misses,
// 5.12+): it skips an fentry program on a CPU on which a task was preempted within that program,
// until that task goes on. On a preemptible kernel (Debian's 7.2) with four busy threads a CPU
// that was one call of twelve. Where every call counts, they are no secret and no loss.
class SkippedCalls
{
public:
    // Takes the programs that it knows the meaning of out of `programs`.
    SkippedCalls(std::span<const CountedCall> calls, std::vector<const bpf_program*>& programs);
    counters read() const;

private:
    std::vector<std::pair<const bpf_program*, std::size_t>> programs_;
};

// Intervals as differences of readings; the first begins when this is made.
class CounterIntervals
{
public:
    // `own`: what the tool itself has caused until now, which is not to be counted. `skipped`: what
    // is to be counted and was not.
    CounterIntervals(std::span<const counters> slots, std::uint64_t now_ns, const counters& own,
                     const counters& skipped)
        : slots_(slots), then_ns_(now_ns), then_(balance(own, skipped))
    {
    }
    CounterRow next(std::uint64_t now_ns, const counters& own, const counters& skipped);

private:
    counters balance(const counters& own, const counters& skipped) const;

    std::span<const counters> slots_;
    std::uint64_t then_ns_;
    counters then_;
};

template <class S>
concept HasCounters = requires(S* s)
{
    s->bss->cb_counters;
    s->rodata->cb_counters_config;
};

// S: the skeleton. Options: what the command line fills; if the BPF side has a `cfg`, Options
// derives from its type. Row: what the columns read, if that is more than the counters. Reports
// every second unless told otherwise.
template <Skel S, class Options, class Row = CounterRow>
requires(HasCounters<S>&& std::derived_from<Row, CounterRow>) struct Counters {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<Row> columns;
    std::span<const Need> needs;
    // Fills in what a row has beside its counters.
    void (*complete)(Row&) = nullptr;
    // How many events a row stands for, where that is not the sum of its counters.
    std::uint64_t (*events)(const Row&) = nullptr;
    // Calls that add 1 to one counter and do nothing else; see SkippedCalls.
    std::span<const CountedCall> calls{};
    // Before load, for each try; and once the rungs are chosen.
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // What the tool itself has caused so far, the call of this function included; nullopt where
    // that cannot be told. Without it, or where it does not know, the kernel side leaves the tool
    // out, which costs every event the question whose it is.
    std::optional<counters> (*own)(Options&) = nullptr;
    // Where text is no table: writes a row as its line, without the end.
    void (*line)(Output&, const Row&) = nullptr;

    using Skeleton = S;
    static constexpr Shared kShared =
        Shared::interval | (HasFilter<S> ? Shared::filter : Shared::none);

    int run(const Tool& tool, int argc, char** argv) const
    {
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            session.interval = std::chrono::seconds(1);
            parse_command_line(session, &o, argc, argv);
            Command command(session);
            const bool own_known = own && !is_filtered(session) && own(o).has_value();
            const auto own_calls = [&] {
                return own_known ? own(o).value_or(counters{}) : counters{};
            };
            auto a = launch<S>(
                session, command, needs,
                [&](S& s) {
                    s.rodata->cb_counters_config.per_cpu = libbpf_num_possible_cpus() > 1;
                    s.rodata->cb_counters_config.filter = !own_known;
                    configure(s, o, session, setup);
                },
                [](S&, bool) {},
                [&](S& s, const Launcher& launcher) {
                    if (resolved)
                        resolved(s, launcher);
                });
            if (session.check)
                return Exit::complete;
            // Whose calls were skipped is not known: where it matters they are lost.
            const SkippedCalls skipped(own_known ? calls : std::span<const CountedCall>(),
                                       a.programs);
            Account account(session, a.account(), a.programs);
            IntervalRun run(session, columns.list, account);
            // The C library reads the time zone's file when it first needs it: not while we count.
            ::tzset();
            CounterIntervals intervals(a->bss->cb_counters, monotonic_ns(), own_calls(),
                                       skipped.read());
            const bool lines = line && session.format == Format::text && !session.given("columns");
            if (!lines)
                run.output().header();
            run.output().flush();
            Row row;
            const auto read = [&] {
                const counters caused = own_calls();
                static_cast<CounterRow&>(row) =
                    intervals.next(monotonic_ns(), caused, skipped.read());
                if (complete)
                    complete(row);
            };
            return run.run(
                command,
                [&] {
                    read(); // detaching takes its time, in which ever less is counted
                    a.detach();
                    account.unreturned = a.unreturned();
                },
                [&](Output& output, bool last) {
                    if (!last)
                        read();
                    if (events)
                        account.printed += events(row);
                    else
                        for (const auto n : row.count.n)
                            account.printed += n;
                    if (!lines)
                        return output.row(&row);
                    line(output, row);
                    output.text() += '\n';
                    output.end_record();
                });
        });
    }
};

} // namespace corebox
