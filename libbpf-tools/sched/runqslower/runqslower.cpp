// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "runqslower.h"
#include "run_queue.hpp"
#include "shape/stream.hpp"

#include "runqslower.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(runqslower_bpf::progs);

struct Options : runq_config {
    std::uint64_t min_us = 10'000;
};

constexpr Example kExamples[] = {
    {"runqslower", "Trace waits longer than 10 ms"},
    {"runqslower -P 100", "Trace waits longer than 100 us, with the thread that ran before"},
    {"runqslower -p 181 0 --json", "Trace every wait of process 181, as JSON"},
};

constexpr Option kOptions[] = {
    show('P', "previous", "Print the thread that ran before"),
    opt<&Options::prefix>('c', "comm", "PREFIX",
                          "Trace only commands whose name begins with PREFIX"),
};

constexpr Option kPositionals[] = {
    opt<&Options::min_us>(0, "min-us", "MIN_US",
                          "Shortest wait in microseconds (default: 10000; 0: all)",
                          {0, 3'600'000'000}),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}};

constexpr Column kColumns[] = {
    col<[](const runq_event& e) { return WallTime{e.time_ns}; }>("time_ns", "TIME", 8,
                                                                 "Time when the wait ended"),
    col<[](const runq_event& e) -> Value { return e.comm; }>("comm", "COMM", 16,
                                                             "Command name of the thread")
        .from<field<&runq_event::comm>>(),
    col<&runq_event::pid>("pid", "PID", 7, "Process ID", kJsonOnly),
    col<&runq_event::tid>("tid", "TID", 7, "Thread ID"),
    col<[](const runq_event& e) { return e.wait_ns / 1000; }>(
        "lat_us", "LAT(us)", -14, "Duration of the wait in microseconds")
        .from<field<&runq_event::wait_ns> / 1000>(),
    col<&runq_event::cpu>("cpu", "CPU", 3, "CPU that the thread then ran on", kJsonOnly),
    // The kernel's: 0 to 99 are real-time priorities 99 to 0, 100 to 139 nice -20 to 19.
    col<&runq_event::prio>("prio", "PRIO", 4, "Kernel priority of the thread, 120 for nice 0",
                           kJsonOnly),
    col<[](const runq_event& e) -> Value { return e.prev_comm; }>(
        "prev_comm", "PREV COMM", 16, "Command name of the thread that ran before",
        with("previous"))
        .from<field<&runq_event::prev_comm>>(),
    col<&runq_event::prev_pid>("prev_pid", "PREV PID", 8,
                               "Process ID of the thread that ran before", kJsonOnly),
    col<&runq_event::prev_tid>("prev_tid", "PREV TID", 8, "Thread ID of the thread that ran before",
                               with("previous")),
};

constexpr Need kNeeds[] = {kWaitsForCpu<Progs>};

void setup(runqslower_bpf& s, Options& o, const Session&)
{
    size_thread_slots(s, s.maps.cb_waiting);
    o.prefix_len = std::uint32_t(c_str(o.prefix).size());
    // More than MIN_US in whole microseconds.
    o.min_ns = o.min_us ? (o.min_us + 1) * 1000 : 0;
}

bool decode(runq_event& row, const Options&, const void* record, std::size_t)
{
    row = *static_cast<const runq_event*>(record);
    return true;
}

constexpr Stream<runqslower_bpf, Options, runq_event> kTool{
    .about = {.name = "runqslower",
              .area = "sched",
              .summary = "Trace long waits for a CPU",
              .details =
                  "Prints a line each time a runnable thread waited for a CPU longer than MIN_US.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
