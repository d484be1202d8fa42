// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "histogram": how often each magnitude of a value, for all or for each key.
#pragma once
#include "output/histogram.hpp"
#include "shape/generations.hpp"
#include <algorithm>

namespace corebox
{

// Hands histograms over to the sink, report after report.
class HistogramWriter
{
public:
    // `totals`: text has BCC's line "avg = ..., total: ..., count: ..." below each histogram.
    HistogramWriter(const Session& session, Sink& sink, Unit unit, Buckets buckets = {},
                    bool totals = false);

    void header() { sink_.begin_histograms(look_); }
    void begin(std::uint64_t mono_ns); // a report of what was measured until then
    // `row`: the key that the columns read, null if there is but one histogram. One without a count
    // is left out, unless `summary` is the line that text has in place of the columns; if `only`,
    // of the bars too.
    void write(const void* row, const Distribution& d, std::string_view summary = {},
               bool only = false);

private:
    Sink& sink_;
    HistogramLook look_;
    std::uint64_t mono_ns_ = 0;
};

// Takes the one histogram of a generation (cb_hist), leaving it empty: all CPUs in one, or each
// possible one's.
Distribution take_histogram(bpf_map* map, __u32 generation);
std::vector<Distribution> take_histograms(bpf_map* map, __u32 generation);

// The histograms of a generation that HISTS() has made, which are removed from the map: for each
// key its parts.
class Histograms
{
public:
    Histograms(bpf_map* map, __u32 generation);

    std::size_t size() const { return first_.size(); } // keys
    // Valid as long as this object; its `generation` means nothing.
    template <class Key>
    const Key& key(std::size_t i) const
    {
        return entries_.key<Key>(order_[first_[i]]);
    }
    void add_to(Distribution& d, std::size_t i) const;
    Distribution operator[](std::size_t i) const
    {
        Distribution d;
        add_to(d, i);
        return d;
    }

private:
    Entries entries_;
    std::vector<std::size_t> order_; // of the entries: those of a key follow each other
    std::vector<std::size_t> first_; // in order_, of each key
};

// Whether `a` comes before `b` by the columns that are shown.
bool row_before(std::span<const Column* const> columns, const void* a, const void* b);

// What the tool's BPF file declares with HIST() and HISTS().
template <class S>
concept HasHist = requires(S* s)
{
    s->maps.cb_hist;
};

// S: the skeleton. Options: what the command line fills; if the BPF side has a `cfg`, Options
// derives from its type. Key: of HISTS(). Row: what the columns read, by default the key itself.
template <Skel S, class Options, class Key, class Row = Key>
requires(HasHist<S> || HasHists<S>) struct Histogram {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<Row> columns{}; // of the keys
    std::span<const Need> needs;
    std::span<const Column> fields{}; // of an event, for --where (bpf/where.bpf.h)
    Unit (*unit)(const Options&);
    // Slots of equal width, as the BPF side fills them; none: powers of two.
    Buckets (*buckets)(const Options&) = nullptr;
    bool totals = false; // see HistogramWriter
    // Whether there is a histogram for each key; needed where the tool has both.
    bool (*keyed)(const Options&) = nullptr;
    void (*decode)(Row& row, const Options&, const Key& key) = nullptr;
    Seconds interval{0}; // unless one is given; 0: until the end
    // See shape/tracing.hpp, as for those that are not explained here.
    Targets (*targets)(const Options&) = nullptr;
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    void (*prepare)(Options&, Session&) = nullptr;
    std::span<const Need> (*chosen)(const Options&) = nullptr;
    void (*attached)(const Options&, const Session&) = nullptr;
    void (*ending)(S&, Options&) = nullptr;
    void (*detached)(S&, Options&, Account&) = nullptr;
    // Whether the one histogram is shown for each CPU, and what then tells the row its CPU.
    bool (*per_cpu)(const Options&) = nullptr;
    void (*cpu)(Row&, unsigned) = nullptr;
    // What a row has that follows from its histogram; returns the line that text has instead of it.
    std::string (*conclude)(Row&, const Distribution&, const Options&) = nullptr;
    // For the one histogram, numbers that stand beside it in each report: fills the row and returns
    // the line that text has for it.
    std::string (*beside)(Row& row, S&, Options&) = nullptr;
    // The one histogram too, behind those of the keys and as the key of an empty row.
    bool overall = false;

    using Skeleton = S;
    using Asked = Options;
    static constexpr Shared kShared = Shared::interval | filters_of<S>();

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<S, Options, Histogram> {
            using Traced<S, Options, Histogram>::Traced;
            std::optional<HistogramWriter> writer;

            void begin()
            {
                const Histogram& shape = this->shape();
                const Options& o = this->options();
                writer.emplace(this->session(), this->sink(), shape.unit(o),
                               shape.buckets ? shape.buckets(o) : Buckets{}, shape.totals);
                writer->header();
            }
            void report(bool)
            {
                const __u32 generation = Generations(this->skeleton().bss->cb_generation).flip();
                writer->begin(monotonic_ns());
                this->shape().report(this->skeleton(), this->options(), generation, this->sink(),
                                     *writer, this->account());
            }
        };
        auto state = std::make_unique<State>(*this, *session);
        state->tracing.prepare();
        if (!state->tracing.attach([&](S& s) {
                if constexpr (HasHist<S> && HasHists<S>) {
                    const bool by_key = keyed(state->options());
                    bpf_map__set_autocreate(s.maps.cb_hist, overall || !by_key);
                    bpf_map__set_autocreate(s.maps.cb_hists, by_key);
                }
            }))
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }

private:
    void report(S& s, Options& o, __u32 generation, const Sink& sink, HistogramWriter& writer,
                Account& account) const
    {
        [[maybe_unused]] const std::uint64_t before = account.printed;
        const auto one = [&](const void* row, const Distribution& d, std::string_view line = {},
                             bool only = false) {
            account.printed += d.count();
            writer.write(row, d, line, only);
        };
        const auto concluded = [&](Row& row, const Distribution& d) {
            const std::string line = conclude ? conclude(row, d, o) : std::string();
            one(&row, d, line, !line.empty());
        };
        if constexpr (HasHist<S>) {
            if (per_cpu && per_cpu(o)) {
                const auto all = take_histograms(s.maps.cb_hist, generation);
                for (unsigned i = 0; i < all.size(); i++) {
                    Row row{};
                    cpu(row, i);
                    if (all[i].count())
                        concluded(row, all[i]);
                }
            } else if (conclude) {
                Row row{};
                concluded(row, take_histogram(s.maps.cb_hist, generation));
            } else if (!HasHists<S> || !keyed(o)) {
                Row row{};
                const std::string summary = beside ? beside(row, s, o) : std::string();
                one(beside ? &row : nullptr, take_histogram(s.maps.cb_hist, generation), summary);
            }
        }
        if constexpr (HasHists<S>) {
            if (HasHist<S> && !keyed(o))
                return;
            const Histograms histograms(s.maps.cb_hists, generation);
            std::vector<std::pair<Row, std::size_t>> all(histograms.size());
            for (std::size_t i = 0; i < all.size(); i++) {
                all[i].second = i;
                if constexpr (std::is_same_v<Row, Key>)
                    all[i].first = histograms.key<Key>(i);
                else
                    decode(all[i].first, o, histograms.key<Key>(i));
            }
            std::ranges::stable_sort(all, [&](const auto& a, const auto& b) {
                return row_before(sink.columns(), &a.first, &b.first);
            });
            // Keys that differ in nothing that is shown are one.
            for (auto next = all.begin(); next != all.end();) {
                const auto& [row, first] = *next++;
                Distribution distribution = histograms[first];
                for (; next != all.end() && !row_before(sink.columns(), &row, &next->first); ++next)
                    histograms.add_to(distribution, next->second);
                one(&row, distribution);
            }
            if constexpr (HasHist<S>)
                if (overall) {
                    const Row row{};
                    const auto printed = account.printed; // the keys' values are in it again
                    const Distribution whole = take_histogram(s.maps.cb_hist, generation);
                    one(&row, whole);
                    account.printed = std::max(printed, before + whole.count());
                }
        }
    }
};

} // namespace corebox
