// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "top": values by key (bpf/top.bpf.h), sorted, the largest first, for each interval.
#pragma once
#include "shape/interval.hpp"
#include <algorithm>

namespace corebox
{

// One entry of an interval and what it is sorted by.
struct Ranked {
    std::uint64_t weight;
    std::span<const std::byte> key;
    std::size_t entry;
};

// The heaviest first; equal ones in the order of their keys, so that rows do not change places from
// one interval to the next without a reason.
void rank(std::vector<Ranked>& entries);

// How many rows are printed: --rows; else all of them for programs, 20 for people, less where
// their screen is smaller. `screen_lines`: 0 if there is no screen.
std::size_t row_limit(const Session& session, std::size_t screen_lines);

// The lines of the terminal that standard output is; 0 if it is none or is not to be cleared.
std::size_t screen_lines(const Session& session);

// Begins the report of an interval: in text the screen is cleared, where there is one, and the time
// and the load stand above the header.
void begin_top(const Session& session, Output& output, std::uint64_t time_ns, bool first,
               bool clear);

template <class S>
concept HasTop = requires(S* s)
{
    s->maps.cb_top;
};

// S: the skeleton. Options: what the command line fills; if the BPF side has a `cfg`, Options
// derives from its type. Row: what the columns read; has a member `time_ns`.
template <Skel S, class Options, class Row>
requires HasTop<S>
struct Top {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<Row> columns;
    std::span<const Need> needs;
    Seconds interval = std::chrono::seconds(1); // unless told otherwise
    // Once the command line is read: fails where options do not go together.
    void (*check)(const Session&) = nullptr;
    // Before load, for each try: resolve names, size maps; and once the rungs are chosen.
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // Once loaded, before the first event, and then after each interval: fills maps.
    void (*fill)(S&, Options&, bool first) = nullptr;
    // Fills the row from an entry, which lives until the next row is filled.
    void (*decode)(Row& row, const Entries& entries, std::size_t entry);
    // Adds what only user space knows of it.
    void (*name)(Row& row, const Options&) = nullptr;
    // What rows are sorted by, and how many events one stands for.
    std::uint64_t (*weight)(const Row&, const Options&);
    std::uint64_t (*events)(const Row&);

    using Skeleton = S;
    static constexpr Shared kShared =
        Shared::interval | Shared::sorted | (HasFilter<S> ? Shared::filter : Shared::none);

    int run(const Tool& tool, int argc, char** argv) const
    {
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            session.interval = interval;
            parse_command_line(session, &o, argc, argv);
            if (check)
                check(session);
            Command command(session);
            auto a = launch<S>(
                session, command, needs, [&](S& s) { configure(s, o, session, setup); },
                [&](S& s, bool) {
                    if (fill)
                        fill(s, o, true);
                },
                [&](S& s, const Launcher& launcher) {
                    if (resolved)
                        resolved(s, launcher);
                });
            if (session.check)
                return Exit::complete;
            Account account(session, a.account(), a.programs);
            IntervalRun run(session, columns.list, account);
            if (session.format == Format::csv) {
                run.output().header();
                run.output().flush();
            }
            Generations generations(a->bss->cb_generation);
            bool first = true;
            __u32 generation = 0;
            std::uint64_t time_ns = 0;
            const auto end_interval = [&] {
                generation = generations.flip();
                time_ns = monotonic_ns();
            };
            return run.run(
                command,
                [&] {
                    end_interval(); // detaching takes its time, in which ever less is seen
                    a.detach();
                },
                [&](Output& output, bool last) {
                    if (!last)
                        end_interval();
                    const Entries entries(a->maps.cb_top, generation);
                    account.printed += report(entries, bpf_map__key_size(a->maps.cb_top), session,
                                              o, output, time_ns, first);
                    first = false;
                    if (fill && !last)
                        fill(*a.skeleton, o, false);
                });
        });
    }

private:
    // Returns how many events the entries stand for, the rows that are not printed included.
    std::uint64_t report(const Entries& entries, std::size_t key_size, const Session& session,
                         const Options& o, Output& output, std::uint64_t time_ns, bool first) const
    {
        Row row{};
        row.time_ns = time_ns;
        std::uint64_t seen = 0;
        std::vector<Ranked> ranked(entries.size());
        for (std::size_t i = 0; i < ranked.size(); i++) {
            decode(row, entries, i);
            seen += events(row);
            ranked[i] = {weight(row, o), {&entries.key<std::byte>(i), key_size}, i};
        }
        rank(ranked);
        const std::size_t lines = screen_lines(session);
        ranked.resize(std::min(ranked.size(), row_limit(session, lines)));
        begin_top(session, output, row.time_ns, first, lines != 0);
        for (const Ranked& r : ranked) {
            decode(row, entries, r.entry);
            if (name)
                name(row, o);
            output.row(&row);
        }
        return seen;
    }
};

} // namespace corebox
