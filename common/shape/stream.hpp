// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "stream": one row an event.
#pragma once
#include "session/transport.hpp"
#include "shape/tracing.hpp"
#include <optional>

namespace corebox
{

// The part of a stream that does not depend on its types: records become rows, rows go to the sink.
class RowStream
{
public:
    // Makes a row of a record and returns it, or null if the record is not to be shown.
    using Decode = const void* (*)(void* context, const void* record, std::size_t size);

    // Prints a row in its own way, or with none what stands before the first; false: this run has
    // columns.
    using Mirror = bool (*)(Output& output, const void* row, const Session& session);
    // Text: what stands below the line of a row (its stacks).
    using Below = void (*)(std::string& text, const void* row);
    // Whether a stack of the row found no room: the row is shown, but counts as lost.
    using Stackless = bool (*)(const void* row);

    RowStream(Run& run, EventReader& reader, Decode decode, void* context, Mirror mirror,
              Below below, Stackless stackless);

    void begin();
    bool drain() { return reader_.consume(); }
    bool is_complete() const { return shown_ != 0 && shown_ == run_.session->count; }

private:
    static void on_record(void* self, const void* record, std::size_t size) noexcept;
    void take(const void* record, std::size_t size);

    Run& run_;
    EventReader& reader_;
    Decode decode_;
    void* context_;
    Mirror mirror_;
    Below below_;
    Stackless stackless_;
    Output* text_; // where it prints text
    Where* where_; // null: no condition
    std::uint64_t shown_ = 0;
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
    // See shape/tracing.hpp, as for those that are not explained here.
    Targets (*targets)(const Options&) = nullptr;
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // Fills the row from a record of `size` bytes; false: filtered. `row` keeps its memory from
    // one record to the next. By default the record is the row.
    bool (*decode)(Row& row, const Options&, const void* record, std::size_t size) = kCopied;
    // Where text is no table: see RowStream::Mirror.
    RowStream::Mirror mirror = nullptr;
    RowStream::Below below = nullptr;
    RowStream::Stackless stackless = nullptr;
    Shared also = Shared::none; // Shared::duration: takes [DURATION]
    void (*prepare)(Options&, Session&) = nullptr;
    std::span<const Need> (*chosen)(const Options&) = nullptr;
    void (*attached)(const Options&, const Session&) = nullptr;
    void (*ending)(S&, Options&) = nullptr;
    void (*detached)(S&, Options&, Account&) = nullptr;
    // After the last row, before the account; `text`: where text is printed, or null.
    void (*conclude)(const Row&, S&, const Options&, const Session&, Output* text) = nullptr;

    using Skeleton = S;
    using Asked = Options;
    using MadeRow = Row;
    static constexpr auto kCopied = [] {
        bool (*copy)(Row&, const Options&, const void*, std::size_t) = nullptr;
        if constexpr (std::is_trivially_copyable_v<Row>)
            copy = [](Row& row, const Options&, const void* record, std::size_t) {
                row = *static_cast<const Row*>(record);
                return true;
            };
        return copy;
    }();
    static constexpr bool kRowsAreEvents = true;
    static constexpr Shared kShared = Shared::events | filters_of<S>();

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        static_assert(HasEvents<S>, "a stream includes bpf/event.bpf.h");
        struct State : Traced<S, Options, Stream> {
            using Traced<S, Options, Stream>::Traced;
            Row row{};
            std::optional<EventReader> reader;
            std::optional<RowStream> rows;

            static const void* decode(void* context, const void* record, std::size_t size)
            {
                State& s = *static_cast<State*>(context);
                return s.shape().decode(s.row, s.options(), record, size) ? &s.row : nullptr;
            }
            void started()
            {
                const Stream& stream = this->shape();
                rows.emplace(*this->run, *reader, decode, this, stream.mirror, stream.below,
                             stream.stackless);
            }
            int data_fd() const { return reader->epoll_fd(); }
            void begin() { rows->begin(); }
            bool drain() { return rows->drain(); }
            std::uint64_t count_unread() const { return reader->count_unread(); }
            bool is_complete() const { return rows->is_complete(); }
            void report(bool last)
            {
                if (const auto conclude = this->shape().conclude; last && conclude)
                    conclude(row, this->skeleton(), this->options(), this->session(),
                             text_output(this->sink()));
            }
        };
        auto state = std::make_unique<State>(*this, *session);
        state->tracing.prepare();
        const auto open_buffer = [&](S& s, bool perf) {
            state->reader.emplace(s.maps.cb_events, perf, session->buffer_bytes());
        };
        // Of a tool that also counts.
        const auto without_counts = [](S& s) {
            if constexpr (requires { s.maps.cb_top; })
                bpf_map__set_autocreate(s.maps.cb_top, false);
        };
        if (!state->tracing.attach(without_counts, open_buffer))
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }
};

} // namespace corebox
