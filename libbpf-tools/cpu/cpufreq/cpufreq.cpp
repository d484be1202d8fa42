// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cpufreq.h"
#include "output/task_fields.hpp"
#include "session/perf.hpp"
#include "shape/histogram.hpp"
#include <cerrno>

#include "cpufreq.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(cpufreq_bpf::progs);

constexpr std::uint64_t kDefaultHertz = 99; // not in step with anything that runs at 100

struct Options {
    std::uint64_t frequency = kDefaultHertz;
    std::uint32_t assumed_mhz = 0;
};

constexpr Example kExamples[] = {
    {"cpufreq", "Run until Ctrl-C"},
    {"cpufreq -d 30 -f 49", "Take 49 samples per second and CPU for thirty seconds"},
    {"cpufreq -p 181 10 --json", "Show the frequencies of process 181 every ten seconds"},
};

constexpr Option kOptions[] = {
    opt<&Options::frequency>('f', "frequency", "HZ",
                             "Take this many samples per second (default: 99)", {1, 1'000'000}),
    opt<&Options::assumed_mhz>(0, "assume", "MHZ",
                               "Use this frequency where the kernel reports none", {1, 100'000}),
};

constexpr Letter kLetters[] = {{'c', "cgroup"}, {'d', "duration"}, {'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const cpufreq_key& k) {
        return k.comm[0] ? Value(c_str(k.comm)) : Value(Absent{"syswide"});
    }>("comm", "COMM", 16, "Command name; syswide (null in JSON) for all tasks and idle CPUs"),
};

std::vector<bpf_link*> attach(const Session& session, const bpf_program* program)
{
    const auto& o = session.options_as<Options>();
    const Sampling sampling{.frequency = o.frequency, .period = 0, .cpu = {}, .idle = true};
    check_sampling(sampling);
    return attach_sampler(program, SampleSource::cpu_clock, sampling);
}

constexpr Need kNeeds[] = {
    {"changes of a CPU's frequency",
     {rung<&Progs::change_tp_btf>("tp_btf", "changes that the processor makes by itself"),
      rung<&Progs::change_raw_tp>("raw_tp", "changes that the processor makes by itself")}},
    {"what the CPUs run", {rung<&Progs::sample>("cpu-clock", {}, attach)}},
};

void setup(cpufreq_bpf& s, Options& o, const Session& session)
{
    constexpr std::uint32_t kKhz = 1000;
    preallocate(s.maps.cb_filter_ids, session.command.empty()
                                          ? session.pids.size() + session.tids.size()
                                          : bpf_map__max_entries(s.maps.cb_filter_ids));
    bool known = false;
    for (const std::uint32_t cpu : online_cpus()) {
        auto text = read_file(cat("/sys/devices/system/cpu/cpu", cpu, "/cpufreq/scaling_cur_freq"));
        const auto khz =
            text ? to_number<std::uint32_t>(text->substr(0, text->find('\n'))) : std::nullopt;
        const std::uint32_t mhz = khz ? *khz / kKhz : o.assumed_mhz;
        s.bss->cpu_mhz[cpu % CPUFREQ_CPUS] = mhz;
        known |= mhz != 0;
    }
    if (!known)
        fail("cannot read CPU frequencies",
             "no CPU has a cpufreq driver, which is usual in virtual machines");
}

// Of a sample, for --where; `ns` has the frequency.
constexpr Column kFields[] = {
    event_field<field<&task_event::ns> / 1'000'000>("mhz", "Frequency of the CPU in MHz"),
    task_field::pid, task_field::tid, task_field::comm, task_field::cpu};

constexpr Histogram<cpufreq_bpf, Options, cpufreq_key> kTool{
    .about = {.name = "cpufreq",
              .area = "cpu",
              .summary = "Show the CPU frequencies that programs run at",
              .details = "Samples the frequency of each CPU. Prints a histogram for each command, "
                         "and one for the whole system that includes idle CPUs.",
              .examples = kExamples,
              .smoke = {"--assume", "1000"}},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options&) {
            return Unit{"MHz", 1};
        },
    .buckets =
        [](const Options&) { return Buckets{.step = CPUFREQ_STEP_MHZ, .last = HIST_ROWS - 1}; },
    .keyed = [](const Options&) { return true; },
    .setup = setup,
    .overall = true,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
