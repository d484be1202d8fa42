// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "runqlat.h"
#include "by_task.hpp"
#include "output/task_fields.hpp"
#include "run_queue.hpp"

#include "runqlat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(runqlat_bpf::progs);

struct Options : ByTask {
};

constexpr Example kExamples[] = {
    {"runqlat 1 10", "Print ten histograms, one per second"},
    {"runqlat -mT 5", "Print milliseconds and the time of day, every 5 seconds"},
    {"runqlat -P", "Show a histogram for each process"},
    {"runqlat --json -p 181 10 1", "Print the waits of process 181 in ten seconds, as JSON"},
    {"runqlat --cgroups 60", "Print a histogram for each cgroup, every minute"},
};

constexpr Option kOptions[] = {
    by_task_option::timestamp, by_task_option::milliseconds,   by_task_option::pids,
    by_task_option::tids,      by_task_option::pid_namespaces, by_task_option::cgroups,
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'c', "cgroup"}};

constexpr Column kColumns[] = {
    by_task_column::pid_namespace, by_task_column::cgroup, by_task_column::pid,
    by_task_column::tid,           by_task_column::comm,
};

constexpr Column kFields[] = {
    task_field::microseconds("wait_us", "Duration of the wait in microseconds"),
    task_field::nanoseconds("wait_ns", "The same in nanoseconds"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Need kNeeds[] = {kWaitsForCpu<Progs>};

constexpr Histogram<runqlat_bpf, Options, by_task_key, ByTaskRow> kTool{
    .about = {.name = "runqlat",
              .area = "sched",
              .summary = "Show how long tasks wait for a CPU as a histogram",
              .details = "Measures the time from when a thread is ready to run until it runs. A "
                         "thread becomes ready when it is woken, created or preempted.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit = [](const Options& o) { return by_task_unit(o); },
    .keyed = [](const Options& o) { return by_task_keyed(o); },
    .decode = [](ByTaskRow& row, const Options& o,
                 const by_task_key& key) { by_task_decode(row, o, key); },
    .setup =
        [](runqlat_bpf& s, Options& o, const Session&) {
            by_task_setup(s, o);
            size_thread_slots(s, s.maps.cb_waiting);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
