// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cpuunclaimed.h"
#include "queue_length.hpp"
#include "session/perf.hpp"
#include "shape/counters.hpp"
#include "shape/stream.hpp"

#include "cpuunclaimed.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(cpuunclaimed_bpf::progs);

constexpr std::uint64_t kHertz = 99; // not in step with anything that runs at 100
constexpr Sampling kSampling{.frequency = kHertz, .cpu = {}, .idle = true};

struct Options : unclaimed_config {
};

// In percent of the CPUs that were looked at, if any were.
Value percent(const CounterRow& r, unclaimed_counter counter)
{
    const std::uint64_t cpus = r.count.n[UNCLAIMED_CPUS];
    return cpus ? Value(Fixed{r.count.n[counter] * 10'000 / cpus, 2}) : Absent{};
}

constexpr Example kExamples[] = {
    {"cpuunclaimed", "Print a line every second"},
    {"cpuunclaimed -T 5 10", "Print ten lines, one every 5 seconds, with the time of day"},
    {"cpuunclaimed --table-csv 0.1", "Print intervals with their counts as CSV, ten a second"},
    {"cpuunclaimed -j", "Print each sample with the tasks of each CPU"},
    {"cpuunclaimed -JT --duration 10",
     "Print samples for 10 seconds, with the time that each CPU was sampled"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    flag<&Options::each>('j', "samples", "Print the tasks of each CPU in each sample, as CSV",
                         "csv"),
    {.key = 'J',
     .name = "fullcsv",
     .arg = {},
     .help = "Print samples, and when each CPU was sampled",
     .apply = [](void* options, std::string_view, const Range&) -> std::string {
         auto& o = *static_cast<Options*>(options);
         o.each = o.offsets = true;
         return {};
     }},
};

template <unclaimed_counter Counter>
constexpr auto kCount = [](const CounterRow& r) { return r.count.n[Counter]; };

constexpr Column kColumns[] = {
    col<[](const CounterRow& r) { return WallTime{r.time_ns}; }>(
        "time_ns", "TIME", 8, "End of the interval", with("timestamp")),
    col<[](const CounterRow& r) { return percent(r, UNCLAIMED_RUNNING); }>(
        "cpu_percent", "%CPU", -7, "CPUs with a task to run, in percent of all CPUs"),
    col<[](const CounterRow& r) { return percent(r, UNCLAIMED_IDLE); }>(
        "unclaimed_percent", "UNCLAIMED%", -11,
        "Idle CPUs while a task waited for another CPU, in percent of all CPUs"),
    col<kCount<UNCLAIMED_SAMPLES>>("samples", "SAMPLES", -8, "Samples in the interval", kJsonOnly),
    col<kCount<UNCLAIMED_CPUS>>("cpus", "CPUS", -8, "Sampled CPUs, summed over all samples",
                                kJsonOnly),
    col<kCount<UNCLAIMED_RUNNING>>("running", "RUNNING", -8,
                                   "CPUs with a task to run, summed over all samples", kJsonOnly),
    col<kCount<UNCLAIMED_QUEUED>>(
        "queued", "QUEUED", -8, "Tasks that waited for a CPU, summed over all samples", kJsonOnly),
    col<kCount<UNCLAIMED_IDLE>>(
        "unclaimed", "UNCLAIMED", -9,
        "Idle CPUs while a task waited for another, summed over all samples", kJsonOnly),
    col<&CounterRow::interval_ns>("interval_ns", "INTERVAL", -12,
                                  "Measured length of the interval in nanoseconds", kJsonOnly),
};

std::vector<bpf_link*> attach(const Session&, const bpf_program* program)
{
    return attach_sampler(program, SampleSource::cpu_clock, kSampling);
}

constexpr Need kNeeds[] = {
    run_queues_need<&Progs::sample_task, &Progs::sample_variable>(attach),
};

void setup(cpuunclaimed_bpf& s, Options& o, const Session&)
{
    const auto online = online_cpus();
    o.cpus = std::uint32_t(online.back() + 1); // the verifier walks them all
    o.online = std::uint32_t(online.size());
    o.leader = online.front();
    if (o.each && o.cpus > UNCLAIMED_MOST_CPUS)
        fail(cat("cannot print samples of ", o.cpus, " CPUs"),
             cat("a sample holds at most ", UNCLAIMED_MOST_CPUS), "omit -j, -J and --csv");
    bpf_map__set_max_entries(s.maps.queues, o.cpus);
    bpf_map__set_autocreate(s.maps.cb_events, o.each);
}

// As BCC prints it: "[HH:MM:SS] %CPU  83.00%, unclaimed idle 0.12%".
void put_line(Output& output, const CounterRow& row)
{
    std::string& out = output.text();
    if (output.columns().front()->key == "time_ns") {
        output.cell(WallTime{row.time_ns});
        out += ' ';
    }
    const auto put = [&](unclaimed_counter counter, std::size_t width) {
        const std::size_t at = out.size();
        output.cell(percent(row, counter));
        const std::size_t size = out.size() - at;
        out.insert(at, width > size ? width - size : 0, ' ');
        out += '%';
    };
    out += "%CPU ";
    put(UNCLAIMED_RUNNING, 6);
    out += ", unclaimed idle ";
    put(UNCLAIMED_IDLE, 0);
}

constexpr Counters<cpuunclaimed_bpf, Options> kIntervals{
    .about =
        {.name = "cpuunclaimed",
         .area = "sched",
         .summary = "Show how many CPUs are idle while tasks wait for other CPUs",
         .details =
             "Prints one line per interval: the share of CPUs with a task, and of CPUs that were "
             "idle while a task waited elsewhere. \"-\" means that the interval has no sample.",
         .examples = kExamples},
    .options = kOptions,
    .columns = kColumns,
    .needs = kNeeds,
    .events = [](const CounterRow& r) -> std::uint64_t { return r.count.n[UNCLAIMED_SAMPLES]; },
    .setup = setup,
    .resolved = resolve_run_queues,
    .line = put_line,
};

using Sample = const unclaimed_sample*;

// What each CPU has, separated by commas.
template <class Put>
void put_cpus(std::string& out, const Options& o, Put&& put)
{
    for (std::uint32_t cpu = 0; cpu < o.cpus; cpu++) {
        out += cpu ? "," : "";
        put(cpu);
    }
}

void put_json(Output& output, const unclaimed_sample& s, const Options& o)
{
    std::string& out = output.text();
    const auto number = [&](std::uint32_t cpu, std::uint64_t n) {
        if (s.cpu[cpu].tasks == UNCLAIMED_OFFLINE)
            out += "null";
        else
            put_number(out, n);
    };
    out += cat("{\"time_ns\":", output.clock().wall_ns(s.time_ns),
               ",\"monotonic_ns\":", std::uint64_t(s.time_ns), ",\"tasks\":[");
    put_cpus(out, o, [&](std::uint32_t cpu) { number(cpu, s.cpu[cpu].tasks); });
    if (o.offsets) {
        out += "],\"offset_ns\":[";
        put_cpus(out, o, [&](std::uint32_t cpu) { number(cpu, s.cpu[cpu].offset_ns); });
    }
    out += "]}\n";
}

// BCC's CSV, of which the columns depend on the CPUs; JSON Lines. Nothing for a CPU that is
// offline.
bool put_sample(Output& output, const void* row, const Session& session)
{
    const auto& o = session.options_as<Options>();
    std::string& out = output.text();
    const unclaimed_sample* s = row ? *static_cast<const Sample*>(row) : nullptr;
    if (session.format == Format::json) {
        if (s)
            put_json(output, *s, o);
        return true;
    }
    const auto cell = [&](std::uint32_t cpu, std::string_view title, auto member) {
        if (!s)
            out += cat(title, cpu);
        else if (s->cpu[cpu].tasks != UNCLAIMED_OFFLINE)
            put_number(out, member(cpu));
    };
    if (session.given("timestamp"))
        out +=
            cat(s ? output.clock().time_of_day(output.clock().wall_ns(s->time_ns)) : "TIME", ",");
    out += s ? cat(std::uint64_t(s->time_ns), ",") : "TIMESTAMP_ns,";
    put_cpus(out, o, [&](std::uint32_t cpu) {
        cell(cpu, "CPU", [&](std::uint32_t n) { return s->cpu[n].tasks; });
    });
    if (o.offsets) {
        out += ',';
        put_cpus(out, o, [&](std::uint32_t cpu) {
            cell(cpu, "OFFSET_ns_CPU", [&](std::uint32_t n) { return s->cpu[n].offset_ns; });
        });
    }
    out += '\n';
    return true;
}

constexpr Stream<cpuunclaimed_bpf, Options, Sample> kSamples{
    .about = kIntervals.about,
    .options = kOptions,
    .columns = {},
    .needs = kNeeds,
    .setup = setup,
    .resolved = resolve_run_queues,
    .decode =
        [](Sample& sample, const Options&, const void* record, std::size_t) {
            sample = static_cast<Sample>(record);
            return true;
        },
    .mirror = put_sample,
    .prepare =
        [](Options&, Session& session) {
            if (session.given("interval"))
                fail_usage("-j and --csv print each sample and take no INTERVAL; for one line per "
                           "interval as CSV, use --table-csv");
            if (!session.columns.empty())
                fail_usage("--columns does not apply to samples; omit -j, -J and --csv");
            session.interval = Seconds(0);
        },
};

constexpr auto kMode = [](const Options& o) { return o.each ? 1 : 0; };
[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry =
    modes<kMode, kIntervals, kSamples>();

} // namespace
