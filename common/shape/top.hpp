// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "top": values by key (bpf/top.bpf.h), sorted, the largest first, for each interval.
#pragma once
#include "shape/generations.hpp"
#include <algorithm>
#include <optional>

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

// What keys have changed: the column to sort by, else by weight, and the direction.
struct TopView {
    std::size_t column = 0; // 0: by weight; else that of the visible columns, from 1
    bool reversed = false;

    // "<", ">" and "r"; false: another key, nothing has changed.
    bool press(char key, std::size_t columns);
    // What the heading says; empty where nothing was changed.
    std::string told(std::span<const Column* const> columns) const;
};

// Brings the numbers of rows, which are in the order of their weights, into that of a column:
// numbers the largest first, text in its own order. `rows` by number.
void rank_by(const Column& column, std::span<const void* const> rows,
             std::vector<std::size_t>& order);

// How many rows are printed: --rows; else all of them for programs, 20 for people, less where
// their screen is smaller. `screen_lines`: 0 if there is no screen.
std::size_t row_limit(const Session& session, std::size_t screen_lines);

// The terminal that standard output is; 0 by 0 if it is none or is not to be cleared.
struct Screen {
    std::size_t lines = 0, columns = 0;
};
Screen screen_size(const Session& session);

// Begins the report of an interval in text: the screen is cleared, where there is one, and the time
// and the load stand above the header, and what `view` says, unless `summary` is false.
void begin_top(Output& output, std::uint64_t time_ns, bool first, bool clear, bool summary,
               const TopView& view);

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
    std::span<const Column> fields{};              // of an event, for --where (bpf/where.bpf.h)
    Seconds interval = std::chrono::seconds(1);    // unless told otherwise
    void (*prepare)(Options&, Session&) = nullptr; // see shape/tracing.hpp
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // Once loaded, before the first event, and then after each interval: fills maps.
    void (*fill)(S&, Options&, bool first) = nullptr;
    // Once attached, and then as each interval ends: brings into the map what the kernel side does
    // not count by itself.
    void (*collect)(S&, Options&) = nullptr;
    // Makes what an interval has left in the map what rows are made of, in place.
    void (*settle)(Options&, Entries&) = nullptr;
    // Fills the row from an entry, which lives until the next row is filled.
    void (*decode)(Row& row, const Entries& entries, std::size_t entry);
    // Adds what only user space knows of it.
    void (*name)(Row& row, const Options&) = nullptr;
    // What rows are sorted by, and how many events one stands for.
    std::uint64_t (*weight)(const Row&, const Options&);
    std::uint64_t (*events)(const Row&);
    Shared also = Shared::none; // Shared::files

    using Skeleton = S;
    using Asked = Options;
    static constexpr Shared kShared = Shared::interval | Shared::sorted | filters_of<S>();

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<S, Options, Top> {
            using Traced<S, Options, Top>::Traced;
            bool first = true;
            __u32 generation = 0;
            std::uint64_t time_ns = 0;
            TopView view;
            std::optional<Entries> shown; // the last interval's, for another view of it

            void started()
            {
                if (this->shape().collect)
                    this->shape().collect(this->skeleton(), this->options());
            }
            void begin()
            {
                if (!text_output(this->sink()))
                    this->sink().header();
            }
            void end_interval()
            {
                if (this->shape().collect)
                    this->shape().collect(this->skeleton(), this->options());
                generation = Generations(this->skeleton().bss->cb_generation).flip();
                time_ns = monotonic_ns();
            }
            void print()
            {
                this->shape().print_rows(*shown, bpf_map__key_size(this->skeleton().maps.cb_top),
                                         this->session(), this->options(), this->sink(), time_ns,
                                         first, view);
                first = false;
            }
            void report(bool last)
            {
                if (!last)
                    end_interval();
                shown.emplace(this->skeleton().maps.cb_top, generation);
                if (this->shape().settle)
                    this->shape().settle(this->options(), *shown);
                this->account().printed += this->shape().seen(*shown);
                print();
                if (this->shape().fill && !last)
                    this->shape().fill(this->skeleton(), this->options(), false);
            }
            void detach()
            {
                end_interval(); // detaching takes its time, in which ever less is seen
                this->tracing.detach(this->account());
            }
            bool takes_keys() const { return screen_size(this->session()).lines != 0; }
            bool press(char key)
            {
                if (view.press(key, this->sink().columns().size()) && shown)
                    print();
                this->sink().flush();
                return key != 'q';
            }
        };
        auto state = std::make_unique<State>(*this, *session);
        state->tracing.prepare();
        const auto fill_first = [&](S& s, bool) {
            if (fill)
                fill(s, state->options(), true);
        };
        if (!state->tracing.attach([](S&) {}, fill_first))
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }

private:
    // How many events the entries stand for, the rows that are not printed included.
    std::uint64_t seen(const Entries& entries) const
    {
        Row row{};
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < entries.size(); i++) {
            decode(row, entries, i);
            sum += events(row);
        }
        return sum;
    }

    void print_rows(const Entries& entries, std::size_t key_size, const Session& session,
                    const Options& o, Sink& sink, std::uint64_t time_ns, bool first,
                    const TopView& view) const
    {
        Row row{};
        row.time_ns = time_ns;
        std::vector<Ranked> ranked(entries.size());
        for (std::size_t i = 0; i < ranked.size(); i++) {
            decode(row, entries, i);
            ranked[i] = {weight(row, o), {&entries.key<std::byte>(i), key_size}, i};
        }
        rank(ranked);
        std::vector<std::size_t> order(ranked.size());
        std::ranges::transform(ranked, order.begin(), &Ranked::entry);
        if (view.column)
            order_by(*sink.columns()[view.column - 1], entries, o, order);
        if (view.reversed)
            std::ranges::reverse(order);
        const Screen screen = screen_size(session);
        order.resize(std::min(order.size(), row_limit(session, screen.lines)));
        if (Output* const text = text_output(sink)) {
            text->fit(screen.columns);
            begin_top(*text, time_ns, first, screen.lines != 0, !session.given("nosummary"), view);
        }
        for (const std::size_t entry : order) {
            decode(row, entries, entry);
            if (name)
                name(row, o);
            sink.row(&row);
        }
    }

    // All rows at once, since columns may show what only a whole row has.
    void order_by(const Column& column, const Entries& entries, const Options& o,
                  std::vector<std::size_t>& order) const
    {
        std::vector<Row> rows(entries.size());
        std::vector<const void*> pointers(rows.size());
        for (std::size_t i = 0; i < rows.size(); i++) {
            decode(rows[i], entries, i);
            if (name)
                name(rows[i], o);
            pointers[i] = &rows[i];
        }
        rank_by(column, pointers, order);
    }
};

} // namespace corebox
