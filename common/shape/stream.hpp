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

    StreamRun(const Session& session, std::span<const Column> columns, Account& account,
              Decode decode, void* context);

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
    // Before load, for each try: resolve names, size maps.
    void (*setup)(S&, Options&, const Session&) = nullptr;
    // Fills the row from a record of `size` bytes; false: filtered. `row` keeps its memory from
    // one record to the next.
    bool (*decode)(Row& row, const Options&, const void* record, std::size_t size);

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
            struct Context {
                const Stream& stream;
                Options& options;
                Row row{};
            } context{*this, o};
            Command command(session);
            std::optional<EventReader> reader;
            auto a = launch<S>(
                session, command, needs, [&](S& s) { configure(s, o, session, setup); },
                [&](S& s, bool perf) {
                    reader.emplace(s.maps.cb_events, perf, session.buffer_bytes());
                });
            if (session.check)
                return Exit::complete;
            Account account(session, a.account(), a.programs);
            StreamRun run(
                session, columns.list, account,
                [](void* c, const void* record, std::size_t size) -> const void* {
                    auto& x = *static_cast<Context*>(c);
                    return x.stream.decode(x.row, x.options, record, size) ? &x.row : nullptr;
                },
                &context);
            return run.run(*reader, command, [&] { a.detach(); });
        });
    }
};

} // namespace corebox
