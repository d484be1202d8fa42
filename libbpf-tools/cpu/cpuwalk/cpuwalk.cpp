// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cpuwalk.h"
#include "output/task_fields.hpp"
#include "session/perf.hpp"
#include "shape/histogram.hpp"

#include "cpuwalk.skel.h"

namespace
{
using namespace corebox;
using P = decltype(cpuwalk_bpf::progs);

constexpr std::uint64_t kDefaultHertz = 99; // not in step with anything that runs at 100

struct Options : cpuwalk_config {
    std::uint64_t frequency = kDefaultHertz;
};

struct Key {
};

constexpr Example kExamples[] = {
    {"cpuwalk", "Show which CPUs run tasks until Ctrl-C"},
    {"cpuwalk -p 181 1 10", "Show the CPUs of one process every second"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    opt<&Options::frequency>('f', "frequency", "HZ",
                             "Take this many samples per second (default: 99)", {1, 1'000'000}),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kFields[] = {task_field::pid, task_field::tid, task_field::comm, task_field::cpu};

constexpr Sampling sampling(const Options& o) { return {.frequency = o.frequency, .cpu = {}}; }

std::vector<bpf_link*> attach(const Session& session, const bpf_program* program)
{
    return attach_sampler(program, SampleSource::cpu_clock,
                          sampling(session.options_as<Options>()));
}

constexpr Need kNeeds[] = {
    {.what = "samples of CPUs", .rungs = {rung<&P::sample>("perf_event", {}, attach)}},
};

constexpr Histogram<cpuwalk_bpf, Options, Key> kTool{
    .about = {.name = "cpuwalk",
              .area = "cpu",
              .summary = "Show which CPUs run tasks, as a linear histogram",
              .details = "Samples each CPU 99 times a second and counts the samples in which it "
                         "ran a task, by CPU number.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options&) {
            return Unit{"cpu", 1};
        },
    .buckets = [](const Options& o) { return Buckets{.step = o.step}; },
    .setup =
        [](cpuwalk_bpf& s, Options&, const Session& session) {
            preallocate(s.maps.cb_filter_ids, session.command.empty()
                                                  ? session.pids.size() + session.tids.size()
                                                  : bpf_map__max_entries(s.maps.cb_filter_ids));
        },
    .prepare =
        [](Options& o, Session&) {
            check_sampling(sampling(o));
            o.step = online_cpus().back() / HIST_ROWS + 1; // so that each CPU is in a row
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
