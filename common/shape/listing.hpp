// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "listing": rows of what the kernel tells anyway, printed once; no BPF program, nothing is
// attached.
#pragma once
#include "session/run.hpp"
#include "session/where.hpp"
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
    void (*prepare)(Options&, Session&) = nullptr;
    // Text as the incumbent prints it, in place of a table; --columns gives the table.
    void (*text)(std::string& out, const Row&, const Options&) = nullptr;
    // Hands each row to `print` as soon as it is known; false: nobody reads on. May fail().
    void (*list)(const Options&, const Session&, const std::function<bool(const Row&)>& print);

    // Why there is nothing to list without options.
    Obstacle (*obstacle)(const Facts&) = nullptr;

    using Asked = Options;
    static constexpr bool kRowsAreEvents = true;
    static constexpr Shared kShared = Shared::none;

    // There is nothing to run: the rows are printed before it returns.
    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        auto& o = *static_cast<Options*>(session->options.get());
        if (prepare)
            prepare(o, *session);
        prepare_where(*session, columns.list, false);
        std::signal(SIGPIPE, SIG_IGN); // a reader that goes away is an end like any other
        const auto sink = make_sink(*session, columns.list);
        if (session->check) {
            if (const auto reason = obstacle ? obstacle(live_facts()) : Obstacle{})
                fail("cannot list everything", reason.text(), reason.fix());
            return nullptr;
        }
        Output* const free_text = text && session->columns.empty() ? text_output(*sink) : nullptr;
        if (!free_text)
            sink->header();
        Where* const where = session->where.get();
        list(o, *session, [&](const Row& row) {
            if (where && !where->holds(&row))
                return true;
            if (free_text) {
                text(free_text->text(), row, o);
                free_text->end_record();
            } else {
                sink->row(&row);
            }
            return sink->state() == Sink::State::open;
        });
        sink->flush();
        if (sink->state() == Sink::State::failed)
            throw Failure{Exit::output,
                          cat("cannot write to standard output: ", strerrordesc_np(sink->error()))};
        return nullptr;
    }
};

} // namespace corebox
