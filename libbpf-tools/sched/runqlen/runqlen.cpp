// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "runqlen.h"
#include "queue_length.hpp"
#include "session/perf.hpp"
#include "shape/histogram.hpp"

#include "runqlen.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(runqlen_bpf::progs);

constexpr std::uint64_t kDefaultHertz = 99; // not in step with anything that runs at 100

struct Options {
    std::uint64_t frequency = kDefaultHertz;
    bool occupancy = false, per_cpu = false;
};

struct Row {
    std::uint32_t cpu = 0;
    std::uint64_t occupied_percent_2 = 0; // hundredths
};

constexpr Example kExamples[] = {
    {"runqlen", "Sample until Ctrl-C, then print one histogram"},
    {"runqlen -C 1 10", "Print a histogram for each CPU, every second"},
    {"runqlen -OT 1", "Print the share of time that tasks waited, with the time of day"},
    {"runqlen -f 999 --json 5 1", "Take 999 samples per second and CPU, print JSON"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    flag<&Options::occupancy>('O', "runqocc", "Print the share of time that tasks waited"),
    flag<&Options::per_cpu>('C', "cpus", "Show each CPU separately"),
    opt<&Options::frequency>('f', "frequency", "HZ",
                             "Take this many samples per second (default: 99)", {1, 1'000'000}),
    show('H', "host", "Accept this option, which is always in effect"),
};

constexpr Column kColumns[] = {
    col<&Row::cpu>("cpu", "CPU", 3, "CPU number", costly("cpus")),
    col<[](const Row& r) {
        return Fixed{r.occupied_percent_2, 2};
    }>("runqocc_percent", "RUNQOCC", 7, "Share of samples with waiting tasks, in percent",
       kJsonOnly),
};

std::vector<bpf_link*> attach(const Session& session, const bpf_program* program)
{
    const auto& o = session.options_as<Options>();
    return attach_sampler(program, SampleSource::cpu_clock,
                          {.frequency = o.frequency, .cpu = {}, .idle = true});
}

constexpr Need kNeeds[] = {
    run_queues_need<&Progs::sample_task, &Progs::sample_variable>(attach),
};

std::string conclude(Row& row, const Distribution& d, const Options& o)
{
    if (d.count() == 0)
        return {};
    row.occupied_percent_2 = (d.count() - d.slot(0)) * 10'000 / d.count();
    if (!o.occupancy)
        return {};
    const std::uint64_t rest = row.occupied_percent_2 % 100;
    return cat(o.per_cpu ? cat("runqocc, CPU ", row.cpu, row.cpu < 10 ? "   " : "  ") : "runqocc: ",
               row.occupied_percent_2 / 100, rest < 10 ? ".0" : ".", rest, "%");
}

// Of a sample, for --where.
constexpr Column kFields[] = {
    event_field<field<&runqlen_event::length>>("runqlen", "Number of waiting tasks"),
    event_field<field<&runqlen_event::cpu>>("cpu", "CPU number")};

constexpr Histogram<runqlen_bpf, Options, runqlen_key, Row> kTool{
    .about = {.name = "runqlen",
              .area = "sched",
              .summary = "Show the length of the run queues as a histogram",
              .details = "Samples each CPU 99 times a second and counts the tasks that wait for "
                         "it. The count includes the tasks of all groups, so -H changes nothing.",
              .examples = kExamples},
    .options = kOptions,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options&) {
            return Unit{"runqlen", 1};
        },
    .buckets = [](const Options&) { return Buckets{.step = 1, .last = HIST_ROWS - 1}; },
    .setup =
        [](runqlen_bpf&, Options& o, const Session&) {
            check_sampling({.frequency = o.frequency, .cpu = {}, .idle = true});
        },
    .resolved = resolve_run_queues,
    .per_cpu = [](const Options& o) { return o.per_cpu; },
    .cpu = [](Row& row, unsigned cpu) { row.cpu = cpu; },
    .conclude = conclude,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
