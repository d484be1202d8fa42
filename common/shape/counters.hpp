// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "counters": one row an interval, of a fixed set of counters (bpf/counters.bpf.h).
#pragma once
#include "abi/counters.h"
#include "shape/generations.hpp"
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
    std::span<const Column> fields{}; // of an event, for --where (bpf/where.bpf.h)
    // Fills in what a row has beside its counters.
    void (*complete)(Row&) = nullptr;
    // How many events a row stands for, where that is not the sum of its counters.
    std::uint64_t (*events)(const Row&) = nullptr;
    // Calls that add 1 to one counter and do nothing else; see SkippedCalls.
    std::span<const CountedCall> calls{};
    void (*prepare)(Options&, Session&) = nullptr; // see shape/tracing.hpp
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // What the tool itself has caused so far, the call of this function included; nullopt where
    // that cannot be told. Without it, or where it does not know, the kernel side leaves the tool
    // out, which costs every event the question whose it is.
    std::optional<counters> (*own)(Options&) = nullptr;
    // Where text is no table: writes a row as its line, without the end.
    void (*line)(Output&, const Row&) = nullptr;

    Seconds interval = std::chrono::seconds(1); // unless one is given

    using Skeleton = S;
    using Asked = Options;
    static constexpr Shared kShared = Shared::interval | filters_of<S>();

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<S, Options, Counters> {
            using Traced<S, Options, Counters>::Traced;
            bool own_known = false; // what the tool causes is subtracted, not filtered
            std::optional<SkippedCalls> skipped;
            std::optional<CounterIntervals> intervals;
            Row row{};
            bool as_lines = false;

            counters own() const
            {
                return own_known ? this->shape().own(this->options()).value_or(counters{})
                                 : counters{};
            }
            void started()
            {
                // The C library reads the time zone's file when it first needs it: not while we
                // count.
                ::tzset();
                intervals.emplace(this->skeleton().bss->cb_counters, monotonic_ns(), own(),
                                  skipped->read());
            }
            void begin()
            {
                as_lines = this->shape().line && text_output(this->sink()) &&
                           !this->session().given("columns");
                if (!as_lines)
                    this->sink().header();
            }
            void read()
            {
                const counters caused = own();
                static_cast<CounterRow&>(row) =
                    intervals->next(monotonic_ns(), caused, skipped->read());
                if (this->shape().complete)
                    this->shape().complete(row);
            }
            void detach()
            {
                read(); // detaching takes its time, in which ever less is counted
                this->tracing.detach(this->account());
            }
            void report(bool last)
            {
                if (!last)
                    read();
                if (this->shape().events)
                    this->account().printed += this->shape().events(row);
                else
                    for (const auto n : row.count.n)
                        this->account().printed += n;
                if (!as_lines)
                    return this->sink().row(&row);
                Output& output = *this->sink().output();
                this->shape().line(output, row);
                output.text() += '\n';
                output.end_record();
            }
        };
        auto state = std::make_unique<State>(*this, *session);
        auto& tracing = state->tracing;
        tracing.prepare();
        state->own_known = own && !is_filtered(*session) && own(tracing.options()).has_value();
        if (!tracing.attach([&](S& s) {
                s.rodata->cb_counters_config.per_cpu = libbpf_num_possible_cpus() > 1;
                s.rodata->cb_counters_config.filter = !state->own_known;
            }))
            return nullptr;
        // Whose calls were skipped is not known: where it matters they are lost.
        state->skipped.emplace(state->own_known ? calls : std::span<const CountedCall>(),
                               tracing.programs());
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }
};

} // namespace corebox
