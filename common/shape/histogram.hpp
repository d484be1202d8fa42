// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shape "histogram": how often each magnitude of a value, for all or for each key.
#pragma once
#include "output/distribution.hpp"
#include "shape/interval.hpp"
#include <algorithm>

namespace corebox
{

// Writes reports: in text BCC's bars and a line with the percentiles, in JSON an object a
// histogram, in CSV a line a bucket.
class HistogramWriter
{
public:
    // `totals`: text has BCC's line "avg = ..., total: ..., count: ..." below each histogram.
    HistogramWriter(const Session& session, Output& output, Unit unit, Buckets buckets = {},
                    bool totals = false);

    void header();                // CSV's
    void begin(std::uint64_t ns); // a report of what was measured up to CLOCK_MONOTONIC `ns`
    // `row`: the key that the columns read, null if there is but one histogram. One without a count
    // is left out, unless `summary` is the line that text has in place of the columns; if `only`,
    // of the bars too.
    void write(const void* row, const Distribution& d, std::string_view summary = {},
               bool only = false);

private:
    bool stamped() const; // text has the time of each report
    void text(const void* row, const Distribution& d, std::string_view summary, bool only);
    void statistics(const Distribution& d); // the line below the bars
    void json(const void* row, const Distribution& d);
    void csv(const void* row, const Distribution& d);

    const Session& session_;
    Output& output_;
    Unit unit_;
    Buckets buckets_;
    bool totals_;
    std::uint64_t time_ns_ = 0; // wall clock
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

// Sets how the map of HISTS() allocates, for the programs that will use it.
void suit_map(bpf_map* map, std::span<bpf_program* const> programs);

// Whether `a` comes before `b` by the columns that are shown.
bool row_before(std::span<const Column* const> columns, const void* a, const void* b);

// What the tool's BPF file declares with HIST() and HISTS().
template <class S>
concept HasHist = requires(S* s)
{
    s->maps.cb_hist;
};
template <class S>
concept HasHists = requires(S* s)
{
    s->maps.cb_hists;
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
    Unit (*unit)(const Options&);
    // Slots of equal width, as the BPF side fills them; none: powers of two.
    Buckets (*buckets)(const Options&) = nullptr;
    bool totals = false; // see HistogramWriter
    // Whether there is a histogram for each key; needed where the tool has both.
    bool (*keyed)(const Options&) = nullptr;
    void (*decode)(Row& row, const Options&, const Key& key) = nullptr;
    Seconds interval{0}; // unless one is given; 0: until the end
    // What the slots of the programs' sections stand for; the span stays valid. May fail().
    Targets (*targets)(const Options&) = nullptr;
    // Before load, for each try: resolve names, size maps; and, with what the kernel offers known,
    // what the programs have to be told of it.
    void (*setup)(S&, Options&, const Session&) = nullptr;
    void (*resolved)(S&, const Launcher&) = nullptr;
    // Those of `needs` that this run has; asked after `prepare`, which is called once the command
    // line is read, and which may find out what is to be traced.
    void (*prepare)(Options&, Session&) = nullptr;
    std::span<const Need> (*chosen)(const Options&) = nullptr;
    // Once all is attached; before it is detached; and after that, before the last report.
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
    static constexpr Shared kShared =
        Shared::interval | (HasFilter<S> ? Shared::filter : Shared::none);

    int run(const Tool& tool, int argc, char** argv) const
    {
        return guarded(tool, [&] {
            Options o{};
            Session session(tool);
            session.interval = interval;
            parse_command_line(session, &o, argc, argv);
            if (prepare)
                prepare(o, session);
            if (targets)
                session.targets = targets(o);
            Command command(session);
            const auto before_load = [&](S& s) {
                configure(s, o, session, setup);
                if constexpr (HasHist<S> && HasHists<S>) {
                    bpf_map__set_autocreate(s.maps.cb_hist, overall || !keyed(o));
                    bpf_map__set_autocreate(s.maps.cb_hists, keyed(o));
                }
            };
            auto a = launch<S>(
                session, command, chosen ? chosen(o) : needs, before_load, [](S&, bool) {},
                [&](S& s, const Launcher& launcher) {
                    if constexpr (HasHists<S>)
                        suit_map(s.maps.cb_hists, launcher.plan().load);
                    if (resolved)
                        resolved(s, launcher);
                });
            if (attached)
                attached(o, session);
            if (session.check)
                return Exit::complete;
            Account account(session, a.account(), a.programs);
            IntervalRun run(session, columns.list, account);
            HistogramWriter writer(session, run.output(), unit(o), buckets ? buckets(o) : Buckets{},
                                   totals);
            Generations generations(a->bss->cb_generation);
            writer.header();
            run.output().flush();
            return run.run(
                command,
                [&] {
                    if (ending)
                        ending(*a.skeleton, o);
                    a.detach();
                    account.unreturned = a.unreturned();
                    if (detached)
                        detached(*a.skeleton, o, account);
                },
                [&](Output&, bool) {
                    const __u32 generation = generations.flip();
                    writer.begin(monotonic_ns());
                    report(*a.skeleton, o, generation, run.output(), writer, account);
                });
        });
    }

private:
    void report(S& s, Options& o, __u32 generation, const Output& output, HistogramWriter& writer,
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
                return row_before(output.columns(), &a.first, &b.first);
            });
            // Keys that differ in nothing that is shown are one.
            for (auto next = all.begin(); next != all.end();) {
                const auto& [row, first] = *next++;
                Distribution distribution = histograms[first];
                for (; next != all.end() && !row_before(output.columns(), &row, &next->first);
                     ++next)
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
