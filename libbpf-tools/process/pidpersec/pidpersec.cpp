// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pidpersec.h"
#include "shape/counters.hpp"

#include "pidpersec.skel.h"

namespace
{
using namespace corebox;
using P = decltype(pidpersec_bpf::progs);

struct Options {
};

std::uint64_t tasks(const CounterRow& r) { return r.count.n[NEW_PROCESS] + r.count.n[NEW_THREAD]; }

constexpr Example kExamples[] = {
    {"pidpersec", "Print a line every second"},
    {"pidpersec 10 6", "Print six lines, one every 10 seconds"},
    {"pidpersec --columns time_ns,processes,threads -- make",
     "Count new tasks of make and its children"},
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const CounterRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                                 "End of the interval"),
    col<[](const CounterRow& r) { return r.per_second(tasks(r)); }>(
        "tasks_per_s", "PIDs/sec", -8, "New processes and threads per second"),
    col<[](const CounterRow& r) { return tasks(r); }>("tasks", "TASKS", -8,
                                                      "New processes and threads"),
    col<[](const CounterRow& r) { return r.count.n[NEW_PROCESS]; }>("processes", "PROCS", -8,
                                                                    "New processes"),
    col<[](const CounterRow& r) { return r.count.n[NEW_THREAD]; }>(
        "threads", "THREADS", -8, "New threads of existing processes"),
    col<&CounterRow::interval_ns>("interval_ns", "INTERVAL", -12,
                                  "Measured length of the interval in nanoseconds", kJsonOnly),
};

constexpr Need kNeeds[] = {
    {.what = "new processes and threads", .rungs = {rung<&P::new_raw_tp>("raw_tp")}},
};

constexpr Counters<pidpersec_bpf, Options> kTool{
    .about = {.name = "pidpersec",
              .area = "process",
              .summary = "Count new processes and threads",
              .details = "Prints one line per interval with the rate of new processes and threads.",
              .examples = kExamples},
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    // The tool creates none itself: nothing has to be left out in the kernel.
    .own = [](Options&) -> std::optional<counters> { return counters{}; },
    .line =
        [](Output& output, const CounterRow& row) {
            output.cell(WallTime{row.time_ns});
            output.text() += ": PIDs/sec: ";
            output.cell(row.per_second(tasks(row)));
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
