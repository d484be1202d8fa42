// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "listing": rows of what the kernel tells anyway, printed once; no BPF program, nothing is
// attached.
#pragma once
#include "session/session.hpp"
#include <csignal>
#include <cstring>

namespace corebox
{

// Options: what the command line fills. Row: what the columns read.
template <class Options, class Row>
struct Listing {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<Row> columns;
    std::span<const Need> needs{};
    // After parsing: fails where options do not go together; may choose the columns.
    void (*check)(Options&, Session&) = nullptr;
    // Text as the incumbent prints it, in place of a table; --columns gives the table.
    void (*text)(std::string& out, const Row&, const Options&) = nullptr;
    // Hands each row to `print` as soon as it is known; false: nobody reads on. May fail().
    void (*list)(const Options&, const Session&, const std::function<bool(const Row&)>& print);

    // Why there is nothing to list without options.
    Obstacle (*obstacle)(const Facts&) = nullptr;

    static constexpr Shared kShared = Shared::none;

    int run(const Tool& tool, int argc, char** argv) const
    {
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            parse_command_line(session, &o, argc, argv);
            if (check)
                check(o, session);
            std::signal(SIGPIPE, SIG_IGN); // a reader that goes away is an end like any other
            Output output(session.output_options(), columns.list);
            if (session.check) {
                if (const auto reason = obstacle ? obstacle(live_facts()) : Obstacle{})
                    fail(cat("list: ", reason.text()), 0, reason.fix());
                return Exit::complete;
            }
            const bool free_text =
                text && session.format == Format::text && session.columns.empty();
            if (!free_text)
                output.header();
            const auto print = [&](const Row& row) {
                if (free_text)
                    text(output.text(), row, o);
                else
                    output.row(&row);
                output.end_record();
                return output.state() == Output::State::open;
            };
            list(o, session, print);
            output.flush();
            if (output.state() == Output::State::failed)
                throw Failure{Exit::output,
                              cat("write to standard output: ", strerrordesc_np(output.error()))};
            return Exit::complete;
        });
    }
};

} // namespace corebox
