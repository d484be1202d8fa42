// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "softirqslower.h"
#include "session/cpus.hpp"
#include "shape/stream.hpp"
#include "vectors.hpp"
#include <sys/stat.h>

#include "softirqslower.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(softirqslower_bpf::progs);

struct Options : softirq_config {
    std::uint64_t min_us = 10'000;
    std::vector<std::string> names; // of the vectors
};

struct Row {
    softirq_event e;
    std::string_view softirq;
};

constexpr Example kExamples[] = {
    {"softirqslower", "Trace softirqs that wait or run 10 ms or longer"},
    {"softirqslower 100 -c 1", "Trace softirqs of 100 us or longer on CPU 1"},
    {"softirqslower 0 --json", "Trace every softirq, as JSON"},
};

constexpr Option kOptions[] = {
    opt<&Options::cpu>('c', "cpu", "CPU", "Trace only this CPU", {0, 1 << 16}),
};

constexpr Option kPositionals[] = {
    opt<&Options::min_us>(0, "min-us", "MIN_US",
                          "Shortest time in microseconds (default: 10000; 0: all)",
                          {0, 3'600'000'000}),
};

constexpr std::string_view kStages[] = {"irq(hard) to softirq", "softirq runtime"};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.e.time_ns}; }>("time_ns", "TIME", 8,
                                                            "Time when the stage ended"),
    col<[](const Row& r) { return Value(Trusted{kStages[r.e.stage & 1]}); }>(
        "stage", "STAGE", 20, "Stage that took long: the wait for its start, or its run")
        .from_names<field<&softirq_event::stage> & 1, kStages>(),
    col<[](const Row& r) { return Value(Trusted{r.softirq}); }>("softirq", "SOFTIRQ", 8,
                                                                "Kind of softirq")
        .as(ColumnType::text),
    col<[](const Row& r) { return r.e.lat_ns / 1000; }>("lat_us", "LAT(us)", -13,
                                                        "Duration in microseconds")
        .from<field<&softirq_event::lat_ns> / 1000>(),
    col<[](const Row& r) { return r.e.lat_ns; }>("lat_ns", "LAT(ns)", -13,
                                                 "Duration in nanoseconds", kJsonOnly)
        .from<field<&softirq_event::lat_ns>>(),
    col<[](const Row& r) { return r.e.cpu; }>("cpu", "CPU", -4, "CPU")
        .from<field<&softirq_event::cpu>>(),
    col<[](const Row& r) { return r.e.pid; }>("pid", "PID", -7, "Process ID of this thread",
                                              kJsonOnly)
        .from<field<&softirq_event::pid>>(),
    col<[](const Row& r) { return r.e.tid; }>("tid", "TID", -7, "Thread ID of this thread",
                                              kJsonOnly)
        .from<field<&softirq_event::tid>>(),
    col<[](const Row& r) -> Value { return r.e.comm; }>(
        "comm", "COMM", 16, "Command name of the interrupted thread, or ksoftirqd")
        .from<field<&softirq_event::comm>>(),
};

// Ends before begins before raises: of a raise that is seen, the begin has to be seen too, or it
// would be taken for that of a later one. BCC's first event of each kind is of that sort.
constexpr Need kNeeds[] = {
    {"softirqs",
     {rung<&Progs::exit_tp_btf, &Progs::entry_tp_btf, &Progs::raise_tp_btf>("tp_btf"),
      rung<&Progs::exit_raw_tp, &Progs::entry_raw_tp, &Progs::raise_raw_tp>("raw_tp")}},
};

void setup(softirqslower_bpf& s, Options& o, const Session& session)
{
    o.by_cpu = session.given("cpu");
    if (o.by_cpu)
        check_cpu(o.cpu);
    o.min_ns = o.min_us * 1000;
    struct stat ns {
    };
    o.pidns = own_pid_namespace();
    if (o.pidns && ::stat("/proc/self/ns/pid", &ns) == 0)
        o.pidns_device = ns.st_dev;
    o.names = softirq_names();
    o.names.resize(SOFTIRQ_SLOTS, "unknown");
    bpf_map__set_max_entries(s.maps.cpus, cpu_limit());
}

bool decode(Row& row, const Options& o, const void* record, std::size_t)
{
    row.e = *static_cast<const softirq_event*>(record);
    row.softirq =
        row.e.vector < o.names.size() ? std::string_view(o.names[row.e.vector]) : "unknown";
    return true;
}

constexpr Stream<softirqslower_bpf, Options, Row> kTool{
    .about = {.name = "softirqslower",
              .area = "irq",
              .summary = "Trace softirqs that wait or run long",
              .details = "Prints a line for each softirq that waited to start, or ran, for at "
                         "least MIN_US microseconds.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
