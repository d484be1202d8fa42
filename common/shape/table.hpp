// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "table": a row for each of a known or small set of keys, the largest first, at each
// interval or at the end; on demand a histogram for each key in its place.
#pragma once
#include "shape/histogram.hpp"
#include "shape/interval.hpp"
#include <algorithm>
#include <functional>

namespace corebox
{

// S: the skeleton, whose BPF file includes bpf/aggregate.bpf.h. Options: what the command line
// fills; if the BPF side has a `cfg`, Options derives from its type. Row: what the columns read;
// has a member `time_ns`.
template <Skel S, class Options, class Row>
requires HasGeneration<S>
struct Table {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<Row> columns;
    std::span<const Need> needs;
    // Once the command line is read: fails where options do not go together.
    void (*check)(Session&, Options&) = nullptr;
    // Before load, for each try.
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // Once loaded, before the first event: fills maps.
    void (*fill)(S&, Options&) = nullptr;
    // Takes the rows of a generation out of the kernel side's maps. A row has to be whole: two with
    // one key are not joined.
    void (*take)(S&, Options&, __u32 generation, std::vector<Row>& rows);
    // What rows are sorted by, and how many events one stands for.
    std::uint64_t (*weight)(const Row&, const Options&);
    std::uint64_t (*events)(const Row&);
    // Text's last line, without its newline; empty: none.
    std::string (*total)(const std::vector<Row>& rows) = nullptr;
    // Histograms in place of rows where this says so: their unit, the columns of the key, which are
    // the first of `columns`, and what takes them.
    bool (*distributed)(const Options&) = nullptr;
    Unit (*unit)(const Options&) = nullptr;
    std::size_t key_columns = 0;
    void (*take_distributions)(S&, Options&, __u32 generation,
                               std::vector<std::pair<Row, Distribution>>& all) = nullptr;
    // Shared::interval: [interval [count]]; Shared::duration: [duration], one report at the end.
    Shared also = Shared::interval;

    using Skeleton = S;
    static constexpr Shared kShared = HasFilter<S> ? Shared::filter : Shared::none;

    int run(const Tool& tool, int argc, char** argv) const
    {
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            parse_command_line(session, &o, argc, argv);
            if (check)
                check(session, o);
            Command command(session);
            auto a = launch<S>(
                session, command, needs, [&](S& s) { configure(s, o, session, setup); },
                [&](S& s, bool) {
                    if (fill)
                        fill(s, o);
                },
                [&](S& s, const Launcher& launcher) {
                    if constexpr (HasHists<S>)
                        suit_map(s.maps.cb_hists, launcher.plan().load);
                    if (resolved)
                        resolved(s, launcher);
                });
            if (session.check)
                return Exit::complete;
            const bool in_histograms = distributed && distributed(o);
            Account account(session, a.account(), a.programs);
            IntervalRun run(session, in_histograms ? columns.list.first(key_columns) : columns.list,
                            account);
            HistogramWriter writer(session, run.output(), in_histograms ? unit(o) : Unit{});
            Generations generations(a->bss->cb_generation);
            if (in_histograms)
                writer.header();
            else if (session.format == Format::csv)
                run.output().header();
            run.output().flush();
            return run.run(
                command, [&] { a.detach(); },
                [&](Output& output, bool) {
                    const __u32 generation = generations.flip();
                    const std::uint64_t now_ns = monotonic_ns();
                    if (in_histograms) {
                        writer.begin(now_ns);
                        print_histograms(*a.skeleton, o, generation, output, writer, account);
                    } else {
                        print_rows(*a.skeleton, o, generation, session, output, now_ns, account);
                    }
                });
        });
    }

private:
    void print_rows(S& s, Options& o, __u32 generation, const Session& session, Output& output,
                    std::uint64_t now_ns, Account& account) const
    {
        std::vector<Row> rows;
        take(s, o, generation, rows);
        for (const Row& row : rows)
            account.printed += events(row);
        // Of equal weight: in the order of the columns, so that rows keep their places.
        std::ranges::stable_sort(rows, [&](const Row& a, const Row& b) {
            const auto x = weight(a, o), y = weight(b, o);
            return x != y ? x > y : row_before(output.columns(), &a, &b);
        });
        if (output.format() == Format::text) {
            output.text() += '\n';
            if (session.given("timestamp"))
                output.text() +=
                    cat(output.clock().time_of_day(output.clock().wall_ns(now_ns)), "\n");
            output.header();
        }
        for (Row& row : rows) {
            row.time_ns = now_ns;
            output.row(&row);
            output.end_record();
        }
        if (total && output.format() == Format::text)
            if (const std::string line = total(rows); !line.empty())
                output.text() += cat(line, "\n");
    }

    void print_histograms(S& s, Options& o, __u32 generation, Output& output,
                          HistogramWriter& writer, Account& account) const
    {
        std::vector<std::pair<Row, Distribution>> all;
        take_distributions(s, o, generation, all);
        std::ranges::stable_sort(all, [&](const auto& a, const auto& b) {
            return row_before(output.columns(), &a.first, &b.first);
        });
        for (const auto& [row, distribution] : all) {
            account.printed += distribution.count();
            writer.write(&row, distribution);
        }
    }
};

} // namespace corebox
