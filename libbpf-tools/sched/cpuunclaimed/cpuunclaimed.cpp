// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cpuunclaimed.h"
#include "session/perf.hpp"
#include "shape/counters.hpp"

#include "cpuunclaimed.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(cpuunclaimed_bpf::progs);

constexpr std::uint64_t kHertz = 99; // not in step with anything that runs at 100
constexpr Sampling kSampling{.frequency = kHertz, .cpu = {}, .idle = true};

struct Options : unclaimed_config {
};

// In hundredths of a percent of the CPUs that were looked at.
constexpr std::uint64_t percent_2(const CounterRow& r, unclaimed_counter counter)
{
    const std::uint64_t cpus = r.count.n[UNCLAIMED_CPUS];
    return cpus ? r.count.n[counter] * 10'000 / cpus : 0;
}

constexpr Example kExamples[] = {
    {"cpuunclaimed", "Every second"},
    {"cpuunclaimed -T 5 10", "Ten times every 5 seconds, with the time of day"},
    {"cpuunclaimed -j 0.1", "As CSV, with the counts, ten times a second"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
};

constexpr Letter kLetters[] = {{'j', "csv"}, {'J', "csv"}};

template <unclaimed_counter Counter>
constexpr auto kCount = [](const CounterRow& r) { return r.count.n[Counter]; };

constexpr Column kColumns[] = {
    col<[](const CounterRow& r) { return WallTime{r.time_ns}; }>(
        "time_ns", "TIME", 8, "End of the interval", with("timestamp")),
    col<[](const CounterRow& r) {
        return Fixed{percent_2(r, UNCLAIMED_RUNNING), 2};
    }>("cpu_percent", "%CPU", -7, "CPUs with something to run, in percent of all"),
    col<[](const CounterRow& r) {
        return Fixed{percent_2(r, UNCLAIMED_IDLE), 2};
    }>("unclaimed_percent", "UNCLAIMED%", -11,
       "Idle CPUs for which a task waited elsewhere, in percent of all"),
    col<kCount<UNCLAIMED_SAMPLES>>("samples", "SAMPLES", -8, "Samples in the interval", kJsonOnly),
    col<kCount<UNCLAIMED_CPUS>>("cpus", "CPUS", -8, "CPUs, all samples added up", kJsonOnly),
    col<kCount<UNCLAIMED_RUNNING>>("running", "RUNNING", -8, "CPUs with something to run, added up",
                                   kJsonOnly),
    col<kCount<UNCLAIMED_QUEUED>>("queued", "QUEUED", -8, "Tasks that waited for a CPU, added up",
                                  kJsonOnly),
    col<kCount<UNCLAIMED_IDLE>>("unclaimed", "UNCLAIMED", -9,
                                "Idle CPUs for which a task waited elsewhere, added up", kJsonOnly),
    col<&CounterRow::interval_ns>("interval_ns", "INTERVAL", -12,
                                  "Real length of the interval in nanoseconds", kJsonOnly),
};

std::vector<bpf_link*> attach(const Session&, const bpf_program* program)
{
    return attach_sampler(program, SampleSource::cpu_clock, kSampling);
}

constexpr Need kNeeds[] = {
    {"the run queues", {rung<&Progs::sample_clock>("cpu-clock", {}, attach)}},
};

constexpr Counters<cpuunclaimed_bpf, Options> kTool{
    .about = {.name = "cpuunclaimed",
              .area = "sched",
              .summary = "Show how many CPUs are idle while tasks wait for others",
              .details = "One line an interval: how many of the CPUs had something to run, and how "
                         "many had nothing while a task waited for another CPU.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .events = [](const CounterRow& r) -> std::uint64_t { return r.count.n[UNCLAIMED_SAMPLES]; },
    .setup =
        [](cpuunclaimed_bpf& s, Options& o, const Session&) {
            const auto online = online_cpus();
            o.cpus = std::uint32_t(online.back() + 1); // the verifier walks them all
            o.online = std::uint32_t(online.size());
            o.leader = online.front();
            bpf_map__set_max_entries(s.maps.queues, o.cpus);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
