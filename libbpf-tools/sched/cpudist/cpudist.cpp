// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cpudist.h"
#include "by_task.hpp"
#include "output/task_fields.hpp"
#include "threads.hpp"

#include "cpudist.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(cpudist_bpf::progs);

struct Options : ByTask {
    bool off_cpu = false, include_idle = false;
};

constexpr Example kExamples[] = {
    {"cpudist 5", "Show how long threads stay on a CPU, every 5 seconds"},
    {"cpudist -O -p 181", "Show how long the threads of process 181 are off the CPU"},
    {"cpudist -P -m 1 10", "Show a histogram for each process, in milliseconds"},
    {"cpudist -I -e 10 1", "Include idle CPUs, and print the total"},
};

constexpr Option kOptions[] = {
    flag<&Options::off_cpu>('O', "offcpu", "Measure time off the CPU instead of time on it"),
    by_task_option::timestamp,
    by_task_option::milliseconds,
    by_task_option::pids,
    by_task_option::tids,
    by_task_option::pid_namespaces,
    by_task_option::cgroups,
    flag<&Options::include_idle>('I', "include-idle", "Include the idle tasks"),
    show('e', "extension", "Print the average, total and count as BCC does"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'c', "cgroup"}};

constexpr Column kColumns[] = {
    by_task_column::pid_namespace, by_task_column::cgroup, by_task_column::pid,
    by_task_column::tid,           by_task_column::comm,
};

constexpr Column kFields[] = {
    task_field::microseconds("span_us", "Time on the CPU, or off it with -O, in microseconds"),
    task_field::nanoseconds("span_ns", "The same in nanoseconds"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Need kNeeds[] = {
    {"switches of the CPUs",
     {rung<&Progs::switch_tp_btf>("tp_btf"), rung<&Progs::switch_raw_tp>("raw_tp")}},
};

constexpr Histogram<cpudist_bpf, Options, by_task_key, ByTaskRow> kTool{
    .about = {.name = "cpudist",
              .area = "sched",
              .summary = "Show how long threads stay on or off the CPU as a histogram",
              .details = "Counts each period that a thread runs on a CPU, however the period ends. "
                         "With -O, counts each period off the CPU, asleep or waiting to run.",
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
        [](cpudist_bpf& s, Options& o, const Session&) {
            by_task_setup(s, o);
            if (o.off_cpu)
                size_thread_slots(s, s.maps.cb_off_since);
            s.rodata->cb_dist = {.off_cpu = o.off_cpu, .include_idle = o.include_idle};
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
