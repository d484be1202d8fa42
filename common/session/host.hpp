// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The process around one run or several: it prints what they find, and owns the loop, the signals,
// the command, the privileges, standard error and the end.
#pragma once
#include "session/command.hpp"
#include "session/loop.hpp"
#include "session/run.hpp"
#include <optional>

namespace corebox
{

class Host
{
public:
    // Forks the command that a session asks for, if it does. Before its programs are loaded.
    void fork_command(Session& session);
    // Standard output, in the format that the session asks for.
    static std::unique_ptr<Sink> make_sink(const Session& session, std::span<const Column> columns);

    void add(std::unique_ptr<Run> run) { runs_.emplace_back(std::move(run)); }

    // Announces the runs, starts the command, and brings all runs to their end; prints their
    // accounts. Returns the worst of their statuses.
    Exit run();

private:
    struct Hosted {
        explicit Hosted(std::unique_ptr<Run> r) : run(std::move(r)) {}
        std::unique_ptr<Run> run;
        std::uint64_t reports = 0;
        bool more = false; // to drain
        bool ended = false;
        Lost reported{};
        std::uint64_t reported_ns = 0;
    };

    void announce() const;
    bool serve(Hosted& hosted, Loop::Wake wake, Keys& keys);
    static void report_losses(Hosted& hosted);
    static void report_silence(Run& run, std::uint64_t now_ns);
    static Exit end(Hosted& hosted, Keys& keys);

    std::vector<Hosted> runs_;
    std::optional<Command> command_;
};

} // namespace corebox
