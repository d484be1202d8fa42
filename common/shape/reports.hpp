// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "reports": what a tool has measured, in a form of its own, each interval and at the end.
#pragma once
#include "shape/generations.hpp"
#include <optional>

namespace corebox
{

// What a report is made from and sent to; lives as long as the run.
template <class S, class Options>
struct Reporting {
    S& skeleton;
    Options& options;
    const Session& session;
    Sink& sink;
    Account& account;

    // Where the user sees text in the tool's own form; null: rows only.
    Output* text() const { return text_output(sink); }
};

// Report: made from a Reporting<S, Options>& once all is attached. Row: what the columns read.
// begin() is called before anything is reported, report() at each interval and at the end. If it
// has fd(), wake() is called when that is readable, and every 100 ms.
template <class Report>
concept Wakes = requires(Report& r)
{
    r.fd();
    r.wake();
};

// S: the skeleton. Options: what the command line fills; if the BPF side has a `cfg`, Options
// derives from its type. Operands: what the command line has beside options and the tool's own
// positionals: Shared::interval, or Shared::none.
template <Skel S, class Options, class Report, Shared Operands = Shared::interval>
struct Reports {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<typename Report::Row> columns{};
    std::span<const Need> needs;
    std::span<const Column> fields{};              // of an event, for --where (bpf/where.bpf.h)
    Seconds interval{0};                           // unless one is given; 0: until the end
    void (*prepare)(Options&, Session&) = nullptr; // see shape/tracing.hpp
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    void (*ending)(S&, Options&) = nullptr;
    // The columns of this run where options choose them; `columns` are then the usual ones.
    std::span<const Column> (*columns_of)(Options&) = nullptr;

    using Skeleton = S;
    using Asked = Options;
    static constexpr Shared kShared = Operands | filters_of<S>();

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<S, Options, Reports> {
            using Traced<S, Options, Reports>::Traced;
            std::optional<Reporting<S, Options>> reporting;
            std::optional<Report> made;

            void started()
            {
                reporting.emplace(Reporting<S, Options>{this->skeleton(), this->options(),
                                                        this->session(), this->sink(),
                                                        this->account()});
                made.emplace(*reporting);
            }
            int data_fd()
            {
                if constexpr (Wakes<Report>)
                    return made->fd();
                return -1;
            }
            void begin() { made->begin(); }
            bool drain()
            {
                if constexpr (Wakes<Report>)
                    made->wake();
                return false;
            }
            void report(bool) { made->report(); }
        };
        auto state = std::make_unique<State>(*this, *session);
        state->tracing.prepare();
        const auto shown = columns_of ? columns_of(state->options()) : columns.list;
        if (columns_of) // fails where --columns names none of these
            choose_columns(session->column_choice(), shown);
        if (!state->tracing.attach([](S&) {}))
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, shown);
    }
};

} // namespace corebox
