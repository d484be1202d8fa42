// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "calls": how often each of many functions was called, or tracepoints were hit
// (bpf/functions.bpf.h), the rarest first; one row for each that was, at the end or for each
// interval.
#pragma once
#include "probe/functions.hpp"
#include "shape/interval.hpp"

namespace corebox
{

// What the columns read.
struct CallRow {
    std::uint64_t time_ns = 0;     // end of the interval, CLOCK_MONOTONIC
    std::uint64_t interval_ns = 0; // its real length
    const Point* function = nullptr;
    std::uint64_t calls = 0;
};

// The counters of the kernel side, mapped. They only grow: an interval is the difference of two
// readings, and loses nothing.
class CallCounts
{
public:
    // `skipped`: calls that the kernel did not run the program for count too.
    CallCounts(const bpf_map* map, std::size_t cpus, const FunctionProbes& probes, bool skipped);
    ~CallCounts();
    CallCounts(const CallCounts&) = delete;
    CallCounts& operator=(const CallCounts&) = delete;

    // Functions that were called since the last reading, the rarest first.
    const std::vector<CallRow>& read();

private:
    const FunctionProbes& probes_;
    std::size_t cpus_, bytes_;
    bool skipped_;
    const std::uint64_t* counts_;
    std::vector<std::uint64_t> then_;
    std::uint64_t then_ns_;
    std::vector<CallRow> rows_;
};

// Text: a blank line between reports, the time with --timestamp, the header.
void begin_calls(const Session& session, Output& output, std::uint64_t time_ns, bool first);

template <class S>
concept HasCalls = requires(S* s)
{
    s->maps.cb_calls;
    s->maps.cb_function_ids;
    s->rodata->cb_functions;
};

// S: the skeleton. Options: what the command line fills; has a member `FunctionProbes* probes`; if
// the BPF side has a `cfg`, it derives from its type.
template <Skel S, class Options>
requires HasCalls<S>
struct Calls {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<CallRow> columns;
    std::span<const Need> needs;
    // Once the command line is read: fails where options do not go together.
    void (*check)(Options&, Session&) = nullptr;
    // Which functions; fails with a usage error where the pattern is malformed.
    std::vector<Point> (*points)(const Options&, const Session&);
    // BCC's line above the text: "Tracing 3 functions for ..."
    std::string (*banner)(const Options&, const FunctionProbes&) = nullptr;
    // Before load, for each try.
    void (*setup)(S&, Options&, const Session&) = nullptr;

    using Skeleton = S;
    static constexpr Shared kShared =
        Shared::every | (HasFilter<S> ? Shared::filter : Shared::none);

    int run(const Tool& tool, int argc, char** argv) const
    {
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            parse_command_line(session, &o, argc, argv);
            if (check)
                check(o, session);
            // Of a command's children it is not known which files they map.
            FunctionProbes probes(points(o, session),
                                  session.pids.size() == 1 ? session.pids[0] : 0);
            if (probes.functions().empty())
                fail("cannot find a traceable function that matches the pattern", ENOENT,
                     "tplist lists what this system has");
            o.probes = &probes;
            Command command(session);
            const auto cpus = std::size_t(libbpf_num_possible_cpus());
            auto a = launch<S>(session, command, point_need(needs, probes.kind()), [&](S& s) {
                s.rodata->cb_functions = {__u32(probes.functions().size()), __u32(cpus)};
                bpf_map__set_max_entries(s.maps.cb_calls, __u32(probes.functions().size() * cpus));
                prepare_points(s, probes);
                configure(s, o, session, setup);
            });
            if (session.explain || probes.attached() != probes.functions().size())
                say(tool, functions_told(probes));
            if (session.check)
                return Exit::complete;
            // With a filter it is not known whose calls were skipped.
            const bool narrowed = is_filtered(session) || session.given("cpu");
            CallCounts counts(a->maps.cb_calls, cpus, probes, !narrowed);
            Account account(session, a.account(), a.programs);
            IntervalRun run(session, columns.list, account);
            if (banner && session.format == Format::text) {
                run.output().text() += cat(banner(o, probes), "\n");
                run.output().flush();
            }
            bool first = true;
            const std::vector<CallRow>* rows = nullptr;
            return run.run(
                command,
                [&] {
                    rows = &counts.read(); // detaching takes its time
                    if (narrowed)
                        account.nested = probes.skipped();
                    a.detach();
                    probes.detach();
                },
                [&](Output& output, bool last) {
                    if (!last)
                        rows = &counts.read();
                    begin_calls(session, output, monotonic_ns(), first);
                    first = false;
                    for (const CallRow& row : *rows) {
                        account.printed += row.calls;
                        output.row(&row);
                    }
                });
        });
    }

private:
    static std::string functions_told(const FunctionProbes& probes)
    {
        const std::size_t all = probes.functions().size();
        return probes.attached() == all ? cat(all, " functions")
                                        : cat(probes.attached(), " of ", all,
                                              " functions; the others cannot be traced here");
    }
};

} // namespace corebox
