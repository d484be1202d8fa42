// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "reports": what a tool has measured, in a form of its own, each interval and at the end.
#pragma once
#include "shape/interval.hpp"

namespace corebox
{

// What a report is made from and written to; lives as long as the run.
template <class S, class Options>
struct Reporting {
    S& skeleton;
    Options& options;
    const Session& session;
    Output& output;
    Account& account;
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
    Seconds interval{0}; // unless one is given; 0: until the end
    // After parsing: fails where options do not go together.
    void (*check)(Options&, Session&) = nullptr;
    // Before load, for each try: resolve names, size maps; and once the rungs are chosen.
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // The columns of this run where options choose them; `columns` are then the usual ones.
    std::span<const Column> (*columns_of)(Options&) = nullptr;

    using Skeleton = S;
    static constexpr Shared kShared = Operands | (HasFilter<S> ? Shared::filter : Shared::none);

    int run(const Tool& tool, int argc, char** argv) const
    {
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            session.interval = interval;
            parse_command_line(session, &o, argc, argv);
            if (check)
                check(o, session);
            const auto shown = columns_of ? columns_of(o) : columns.list;
            Output output(session.output_options(), shown);
            Command command(session);
            auto a = launch<S>(
                session, command, needs, [&](S& s) { configure(s, o, session, setup); },
                [](S&, bool) {},
                [&](S& s, const Launcher& launcher) {
                    if (resolved)
                        resolved(s, launcher);
                });
            if (session.check)
                return Exit::complete;
            Account account(session, a.account(), a.programs);
            Reporting<S, Options> reporting{*a.skeleton, o, session, output, account};
            Report report(reporting);
            int fd = -1;
            if constexpr (Wakes<Report>)
                fd = report.fd();
            report.begin();
            output.flush();
            Loop loop(session, command, fd);
            command.start();
            std::uint64_t reports = 0;
            for (bool more = true; more && output.state() == Output::State::open;) {
                const Loop::Wake wake = loop.wait();
                if (wake == Loop::Wake::data) {
                    if constexpr (Wakes<Report>)
                        report.wake();
                } else {
                    more = wake == Loop::Wake::tick && ++reports != session.count;
                    if (!more)
                        a.detach();
                    report.report();
                }
                output.flush();
                account.report_losses(output);
            }
            return account.finish(output);
        });
    }
};

} // namespace corebox
