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
    {"runqlen", "Until Ctrl-C, then one histogram"},
    {"runqlen -C 1 10", "A histogram for each CPU, each second"},
    {"runqlen -OT 1", "How much of the time anything waited, with the time of day"},
    {"runqlen -f 999 --json 5 1", "999 samples a second, as JSON"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    flag<&Options::occupancy>('O', "runqocc", "How much of the time tasks waited, in percent"),
    flag<&Options::per_cpu>('C', "cpus", "Each CPU for itself"),
    opt<&Options::frequency>('f', "frequency", "HZ", "Samples a second and CPU (99)",
                             {1, 1'000'000}),
    show('H', "host", "All tasks of the CPU, not only those of one group: always so here"),
};

constexpr Column kColumns[] = {
    col<&Row::cpu>("cpu", "CPU", 3, "Number of the CPU", costly("cpus")),
    col<[](const Row& r) {
        return Fixed{r.occupied_percent_2, 2};
    }>("runqocc_percent", "RUNQOCC", 7, "Samples in which tasks waited, in percent of all",
       kJsonOnly),
};

std::vector<bpf_link*> attach(const Session& session, const bpf_program* program)
{
    const auto& o = *static_cast<const Options*>(session.options);
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

constexpr Histogram<runqlen_bpf, Options, runqlen_key, Row> kTool{
    .about = {.name = "runqlen",
              .area = "sched",
              .summary = "Show the length of the run queues as a histogram",
              .details =
                  "Looks at each CPU 99 times a second and counts how many tasks were ready to run "
                  "but had to wait for it.",
              .examples = kExamples},
    .options = kOptions,
    .columns = kColumns,
    .needs = kNeeds,
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
