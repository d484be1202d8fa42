// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "stream": one row an event.
#pragma once
#include "probe/launch.hpp"
#include "session/transport.hpp"
#include <optional>

namespace corebox
{

// The part of a stream that does not depend on its types.
class StreamRun
{
public:
    // Makes a row of a record and returns it, or null if the record is not to be shown.
    using Decode = const void* (*)(void* context, const void* record, std::size_t size);

    // Writes a row in its own way, or with none what stands before the first; false: this run has
    // columns.
    using Mirror = bool (*)(Output& output, const void* row, const Session& session);
    // Text: what stands below the line of a row (its stacks).
    using Below = void (*)(std::string& text, const void* row);
    // Whether a stack of the row found no room: the row is shown, but told as lost.
    using Stackless = bool (*)(const void* row);

    StreamRun(const Session& session, std::span<const Column> columns, Account& account,
              Decode decode, void* context, Mirror mirror = nullptr, Below below = nullptr,
              Stackless stackless = nullptr);

    // Until the end: reads, prints, tells of losses. `detach` is called once before the last
    // reading, so that everything the probes sent is accounted for.
    Exit run(EventReader& reader, Command& command, const std::function<void()>& detach);

private:
    static void on_record(void* self, const void* record, std::size_t size) noexcept;

    const Session& session_;
    Output output_;
    Account& account_;
    Decode decode_;
    void* context_;
    Mirror mirror_;
    Below below_;
    Stackless stackless_;
    std::uint64_t shown_ = 0;
    bool full_ = false; // --count reached
};

// S: the skeleton. Options: what the command line fills; if the BPF side has a `cfg`, Options
// derives from its type. Row: what the columns read. By default the record itself.
template <Skel S, class Options, class Row>
struct Stream {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<Row> columns;
    std::span<const Need> needs;
    // What the slots of the programs' sections stand for; the span stays valid. May fail().
    Targets (*targets)(const Options&) = nullptr;
    // Before load, for each try: resolve names, size maps.
    void (*setup)(S&, Options&, const Session&) = nullptr;
    // What follows from what the kernel offers, between open and load.
    void (*resolved)(S&, const Launcher&) = nullptr;
    // Fills the row from a record of `size` bytes; false: filtered. `row` keeps its memory from
    // one record to the next.
    bool (*decode)(Row& row, const Options&, const void* record, std::size_t size);
    // Where text is no table: see StreamRun::Mirror.
    StreamRun::Mirror mirror = nullptr;
    StreamRun::Below below = nullptr;
    StreamRun::Stackless stackless = nullptr;
    Shared also = Shared::none; // Shared::duration: takes [DURATION]
    // As in shape/histogram.hpp.
    void (*prepare)(Options&, Session&) = nullptr;
    std::span<const Need> (*chosen)(const Options&) = nullptr;
    void (*attached)(const Options&, const Session&) = nullptr;
    void (*ending)(S&, Options&) = nullptr;
    void (*detached)(S&, Options&, Account&) = nullptr;

    using Skeleton = S;
    static constexpr Shared kShared =
        Shared::events | (HasFilter<S> ? Shared::filter : Shared::none);

    int run(const Tool& tool, int argc, char** argv) const
    {
        static_assert(HasEvents<S>, "a stream includes bpf/event.bpf.h");
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            parse_command_line(session, &o, argc, argv);
            if (prepare)
                prepare(o, session);
            if (targets)
                session.targets = targets(o);
            struct Context {
                const Stream& stream;
                Options& options;
                Row row{};
            } context{*this, o};
            Command command(session);
            std::optional<EventReader> reader;
            auto a = launch<S>(
                session, command, chosen ? chosen(o) : needs,
                [&](S& s) { configure(s, o, session, setup); },
                [&](S& s, bool perf) {
                    reader.emplace(s.maps.cb_events, perf, session.buffer_bytes());
                },
                [&](S& s, const Launcher& launcher) {
                    if (resolved)
                        resolved(s, launcher);
                });
            if (attached)
                attached(o, session);
            if (session.check)
                return Exit::complete;
            Account account(session, a.account(), a.programs);
            StreamRun run(
                session, columns.list, account,
                [](void* c, const void* record, std::size_t size) -> const void* {
                    auto& x = *static_cast<Context*>(c);
                    return x.stream.decode(x.row, x.options, record, size) ? &x.row : nullptr;
                },
                &context, mirror, below, stackless);
            return run.run(*reader, command, [&] {
                if (ending)
                    ending(*a.skeleton, o);
                a.detach();
                account.unreturned = a.unreturned();
                if (detached)
                    detached(*a.skeleton, o, account);
            });
        });
    }
};

} // namespace corebox
