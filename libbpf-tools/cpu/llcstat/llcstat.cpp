// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "llcstat.h"
#include "output/task_fields.hpp"
#include "session/perf.hpp"
#include "shape/table.hpp"
#include <cerrno>

#include "llcstat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(llcstat_bpf::progs);

// BCC's 100 interrupts a busy CPU some ten thousand times a second.
constexpr std::uint64_t kDefaultPeriod = 10'000;
constexpr Seconds kDefaultDuration = std::chrono::seconds(10);

struct Options : llcstat_config {
    std::uint64_t period = kDefaultPeriod;
    std::string_view event_names = "cache-references,cache-misses";
    PerfEvent reference, miss;
};

struct Row {
    std::uint64_t time_ns = 0;
    llcstat_key key{};
    llcstat_counts counts{};
    std::uint64_t samples = 0;
};

// Hits of all references in hundredths of a percent. Both counts are estimates, so that there may
// seem to be more misses than references.
std::uint64_t hit_rate(const llcstat_counts& c)
{
    const std::uint64_t hits = c.references > c.misses ? c.references - c.misses : 0;
    return std::uint64_t(static_cast<unsigned __int128>(hits) * 10'000 / c.references);
}

constexpr Example kExamples[] = {
    {"llcstat", "Sample all processes for ten seconds"},
    {"llcstat -p 181 -t 5", "Sample the threads of process 181 for five seconds"},
    {"llcstat --events LLC-loads,LLC-load-misses 5", "Count loads only"},
};

constexpr Option kOptions[] = {
    opt<&Options::period>('c', "sample-period", "N", "Sample once every N events (default: 10000)",
                          {1, std::int64_t(1) << 40}),
    flag<&Options::threads>('t', "tid", "Show each thread of a process separately"),
    opt<&Options::event_names>(0, "events", "REFERENCE,MISS", "Count these perf events instead"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return r.key.pid; }>("pid", "PID", 8, "Process ID"),
    col<[](const Row& r) { return r.key.tid; }>("tid", "TID", 8, "Thread ID", costly("tid")),
    col<[](const Row& r) -> Value { return r.key.comm; }>("comm", "NAME", 16, "Command name"),
    col<[](const Row& r) { return r.key.cpu; }>("cpu", "CPU", 4, "CPU"),
    col<[](const Row& r) { return r.counts.references; }>("references", "REFERENCE", -12,
                                                          "References of the last-level cache"),
    col<[](const Row& r) { return r.counts.misses; }>("misses", "MISS", -12,
                                                      "References that missed the cache"),
    col<[](const Row& r) {
        return r.counts.references ? Value(Fixed{hit_rate(r.counts), 2}) : Value(Absent{});
    }>("hit_pct", "HIT%", -7, "Share of references that hit the cache, in percent"),
    col<&Row::samples>("samples", "SAMPLES", -8, "Number of samples that the estimate is based on",
                       kJsonOnly),
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "End of the run",
                                                          kJsonOnly),
};

// Of an event, for --where.
constexpr Column kFields[] = {task_field::pid, task_field::tid, task_field::comm, task_field::cpu};

std::vector<bpf_link*> attach(const Session& session, const bpf_program* program)
{
    const auto& o = session.options_as<Options>();
    const bool reference = std::string_view(bpf_program__name(program)) == "on_reference";
    auto links = attach_perf_event(program, reference ? o.reference : o.miss,
                                   {.frequency = 0, .period = o.period, .cpu = {}, .idle = false});
    if (links.empty() && (errno == ENOENT || errno == EOPNOTSUPP || errno == ENODEV))
        fail(cat("cannot count ", o.event_names),
             "this machine does not provide these hardware counters, which is usual in virtual "
             "machines",
             "choose other events with --events");
    return links;
}

constexpr Need kNeeds[] = {
    {"references of the cache, and misses",
     {rung<&Progs::on_reference, &Progs::on_miss>("perf_event", {}, attach)}},
};

void prepare(Options& o, Session& session)
{
    const auto names = split(o.event_names, ',');
    const auto event = [](std::string_view name) {
        const auto known = perf_event(name);
        if (!known)
            fail_usage(cat("--events: no event '", name, "'"));
        return *known;
    };
    if (names.size() != 2)
        fail_usage(cat("--events must be two events, not '", o.event_names, "'"));
    o.reference = event(names[0]);
    o.miss = event(names[1]);
    o.reference_period = o.miss_period = o.period;
    if (!session.given("duration") && session.command.empty() && !session.interval.count())
        session.duration = kDefaultDuration;
}

void setup(llcstat_bpf& s, Options&, const Session& session)
{
    preallocate(s.maps.cb_filter_ids, session.command.empty()
                                          ? session.pids.size() + session.tids.size()
                                          : bpf_map__max_entries(s.maps.cb_filter_ids));
}

std::string total(const std::vector<Row>& rows)
{
    llcstat_counts all{};
    for (const Row& row : rows) {
        all.references += row.counts.references;
        all.misses += row.counts.misses;
    }
    const std::uint64_t rate = all.references ? hit_rate(all) : 0;
    return cat("Total References: ", all.references, " Total Misses: ", all.misses, " Hit Rate: ",
               all.references ? cat(rate / 100, ".", rate / 10 % 10, rate % 10, "%") : "-");
}

constexpr Table<llcstat_bpf, Options, Row> kTool{
    .about = {.name = "llcstat",
              .area = "cpu",
              .summary = "Show references and misses of the last-level cache by process",
              .details =
                  "Estimates from samples how often each process referred to the last-level cache "
                  "and missed it on each CPU. Prints the counts at the end of the run. Events of "
                  "--events have perf(1)'s names, such as LLC-loads or page-faults.",
              .examples = kExamples,
              .smoke = {"--events", "page-faults,context-switches"}},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = prepare,
    .setup = setup,
    .take =
        [](llcstat_bpf& s, Options& o, __u32 generation, std::vector<Row>& rows) {
            const Entries entries(s.maps.cb_top, generation);
            for (std::size_t i = 0; i < entries.size(); i++) {
                Row& row = rows.emplace_back();
                row.key = entries.key<llcstat_key>(i);
                entries.values<llcstat_counts>(
                    i, [&](const llcstat_counts& counts) { row.counts = counts; });
                row.samples = (row.counts.references + row.counts.misses) / o.period;
            }
        },
    .weight = [](const Row& r, const Options&) -> std::uint64_t {
        return r.counts.references + r.counts.misses;
    },
    .events = [](const Row& r) -> std::uint64_t { return r.samples; },
    .total = total,
    .also = Shared::duration | Shared::every,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
