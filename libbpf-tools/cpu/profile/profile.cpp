// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "profile.h"
#include "output/task_fields.hpp"
#include "session/perf.hpp"
#include "shape/stacks.hpp"
#include "profile.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(profile_bpf::progs);

constexpr std::uint64_t kDefaultHertz = 99; // not in step with anything that runs at 100

struct Options : StackOptions {
    std::uint64_t frequency = 0, period = 0;
    std::uint32_t cpu = 0;
    bool include_idle = false;
};

constexpr Example kExamples[] = {
    {"profile 10", "Sample all CPUs for ten seconds"},
    {"profile -p 181 --flame out.svg 30", "Draw a flame graph of process 181"},
    {"profile -F 999 -- make", "Sample make and its children 999 times per second"},
    {"profile -adf 10 > out.folded", "Write folded stacks for other tools"},
};

constexpr Option kOptions[] = {
    opt<&Options::frequency>('F', "frequency", "HZ",
                             "Take this many samples per second (default: 99)", {1, 1'000'000}),
    opt<&Options::period>('c', "count", "N", "Sample every N cycles, or CPU clock nanoseconds",
                          {1, std::int64_t(1) << 40}),
    opt<&Options::cpu>('C', "cpu", "CPU", "Trace only this CPU", {0, 1 << 16}),
    flag<&Options::include_idle>('I', "include-idle", "Include idle CPUs"),
    stack_option::user_only,
    stack_option::kernel_only,
    stack_option::threads,
    stack_option::folded,
    stack_option::delimited,
    stack_option::annotations,
    stack_option::address,
    stack_option::flame,
    stack_option::storage,
    stack_option::hash_storage,
    stack_option::depth,
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'L', "tid"}};

constexpr Column kColumns[] = {
    stack_column::comm,         stack_column::pid,
    stack_column::tid,          col<&StackRow::events>("count", "COUNT", -8, "Number of samples"),
    stack_column::user,         stack_column::kernel,
    stack_column::user_address, stack_column::kernel_address,
};

Sampling sampling(const Session& session)
{
    const auto& o = session.options_as<Options>();
    return {.frequency = o.period      ? 0
                         : o.frequency ? o.frequency
                                       : kDefaultHertz,
            .period = o.period,
            .cpu = session.given("cpu") ? std::optional(o.cpu) : std::nullopt,
            .idle = o.include_idle};
}

template <SampleSource Source>
std::vector<bpf_link*> attach(const Session& session, const bpf_program* program)
{
    return attach_sampler(program, Source, sampling(session));
}

constexpr Column kFields[] = {task_field::pid, task_field::tid, task_field::comm, task_field::cpu};

constexpr Need kNeeds[] = {
    {"what the CPUs run",
     {rung<&Progs::sample_cycles>("cycles", {}, attach<SampleSource::cycles>, no_cycles),
      rung<&Progs::sample_clock>("cpu-clock",
                                 "code that runs with interrupts disabled; its time is attributed "
                                 "to where they are enabled again",
                                 attach<SampleSource::cpu_clock>)}},
};

std::string banner(const Options& o, const Session& session)
{
    const Sampling s = sampling(session);
    std::string out =
        cat("Sampling ",
            s.period ? cat("every ", s.period, " events") : cat("at ", s.frequency, " Hertz"),
            " of ", traced_tasks(session), " by ",
            o.user_only     ? "user"
            : o.kernel_only ? "kernel"
                            : "user + kernel",
            " stack");
    if (s.cpu)
        out += cat(" on CPU#", *s.cpu);
    return out + traced_time(session);
}

constexpr Stacks<profile_bpf, Options> kTool{
    .about =
        {.name = "profile",
         .area = "cpu",
         .summary = "Profile CPU time by sampled stacks",
         .details =
             "Interrupts each CPU at a fixed rate and counts what it runs, by process, user stack "
             "and kernel stack. Prints the counts at the end, the most frequent stack last.",
         .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit = {.name = "samples", .sampled = true},
    .prepare =
        [](Options& o, Session& session) {
            if (o.frequency && o.period)
                fail_usage("--frequency and --count exclude each other");
            check_sampling(sampling(session));
        },
    .setup =
        [](profile_bpf& s, Options& o, const Session& session) {
            s.rodata->cfg.include_idle = o.include_idle;
            preallocate(s.maps.cb_filter_ids, session.command.empty()
                                                  ? session.pids.size() + session.tids.size()
                                                  : bpf_map__max_entries(s.maps.cb_filter_ids));
        },
    .banner = banner,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
