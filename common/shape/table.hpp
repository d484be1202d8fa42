// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "table": a row for each of a known or small set of keys, the largest first, at each
// interval or at the end; on demand a histogram for each key in its place.
#pragma once
#include "shape/generations.hpp"
#include "shape/histogram.hpp"
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
    std::span<const Column> fields{};              // of an event, for --where (bpf/where.bpf.h)
    void (*prepare)(Options&, Session&) = nullptr; // see shape/tracing.hpp
    std::span<const Need> (*chosen)(const Options&) = nullptr;
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // Once loaded, before the first event: fills maps.
    void (*fill)(S&, Options&) = nullptr;
    // Once attached, and then as each interval ends: brings into the maps what the kernel side does
    // not count by itself.
    void (*collect)(S&, Options&) = nullptr;
    // Takes the rows of a generation out of the kernel side's maps. A row has to be whole: two with
    // one key are not joined.
    void (*take)(S&, Options&, __u32 generation, std::vector<Row>& rows);
    // What rows are sorted by, and how many events one stands for.
    std::uint64_t (*weight)(const Row&, const Options&);
    std::uint64_t (*events)(const Row&);
    // Each report in text begins with its time, not only with --timestamp; not with --notime.
    bool timed = false;
    Seconds interval{0}; // unless one is given; 0: until the end
    // How many rows text has; 0: all.
    std::size_t (*limit)(const Options&) = nullptr;
    // Text's last line, without its newline; empty: none.
    std::string (*total)(const std::vector<Row>& rows) = nullptr;
    // Histograms in place of rows where this says so: their unit, the columns of the key, which are
    // the first of `columns`, and what takes them.
    bool (*distributed)(const Options&) = nullptr;
    Unit (*unit)(const Options&) = nullptr;
    std::size_t key_columns = 0;
    void (*take_distributions)(S&, Options&, __u32 generation,
                               std::vector<std::pair<Row, Distribution>>& all) = nullptr;
    void (*detached)(S&, Options&, Account&) = nullptr;
    // Shared::interval: [interval [count]]; Shared::duration: [duration], one report at the end.
    Shared also = Shared::interval;

    using Skeleton = S;
    using Asked = Options;
    static constexpr Shared kShared = filters_of<S>();

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<S, Options, Table> {
            using Traced<S, Options, Table>::Traced;
            std::optional<HistogramWriter> writer; // where rows are histograms

            void started() { collect(); }
            void collect()
            {
                if (this->shape().collect)
                    this->shape().collect(this->skeleton(), this->options());
            }
            void begin()
            {
                const Table& shape = this->shape();
                if (shape.is_distributed(this->options())) {
                    writer.emplace(this->session(), this->sink(), shape.unit(this->options()));
                    writer->header();
                } else if (!text_output(this->sink())) {
                    this->sink().header();
                }
            }
            void report(bool)
            {
                collect();
                const __u32 generation = Generations(this->skeleton().bss->cb_generation).flip();
                const std::uint64_t now_ns = monotonic_ns();
                if (writer)
                    this->shape().print_histograms(*this, generation, now_ns);
                else
                    this->shape().print_rows(*this, generation, now_ns);
            }
        };
        auto state = std::make_unique<State>(*this, *session);
        state->tracing.prepare();
        const auto fill_first = [&](S& s, bool) {
            if (fill)
                fill(s, state->options());
        };
        // Of a tool that also shows each event.
        const auto without_events = [](S& s) {
            if constexpr (requires { s.maps.cb_events; })
                bpf_map__set_autocreate(s.maps.cb_events, false);
        };
        if (!state->tracing.attach(without_events, fill_first))
            return nullptr;
        const auto shown =
            is_distributed(state->options()) ? columns.list.first(key_columns) : columns.list;
        return make_run(std::move(state), std::move(session), make_sink, shown);
    }

private:
    bool is_distributed(const Options& o) const { return distributed && distributed(o); }

    template <class State>
    void print_rows(State& state, __u32 generation, std::uint64_t now_ns) const
    {
        Sink& sink = state.sink();
        const Options& o = state.options();
        std::vector<Row> rows;
        take(state.skeleton(), state.options(), generation, rows);
        for (const Row& row : rows)
            state.account().printed += events(row);
        // Of equal weight: in the order of the columns, so that rows keep their places.
        std::ranges::stable_sort(rows, [&](const Row& a, const Row& b) {
            const auto x = weight(a, o), y = weight(b, o);
            return x != y ? x > y : row_before(sink.columns(), &a, &b);
        });
        Output* const text = text_output(sink);
        if (text) {
            text->text() += '\n';
            if ((timed && !state.session().given("notime")) || state.session().given("timestamp"))
                text->text() += cat(text->clock().time_of_day(text->clock().wall_ns(now_ns)), "\n");
            sink.header();
        }
        if (const std::size_t most = text && limit ? limit(o) : 0; most && most < rows.size())
            rows.resize(most);
        for (Row& row : rows) {
            row.time_ns = now_ns;
            sink.row(&row);
        }
        if (total && text)
            if (const std::string line = total(rows); !line.empty())
                text->text() += cat(line, "\n");
    }

    template <class State>
    void print_histograms(State& state, __u32 generation, std::uint64_t now_ns) const
    {
        state.writer->begin(now_ns);
        std::vector<std::pair<Row, Distribution>> all;
        take_distributions(state.skeleton(), state.options(), generation, all);
        std::ranges::stable_sort(all, [&](const auto& a, const auto& b) {
            return row_before(state.sink().columns(), &a.first, &b.first);
        });
        for (const auto& [row, distribution] : all) {
            state.account().printed += distribution.count();
            state.writer->write(&row, distribution);
        }
    }
};

} // namespace corebox
