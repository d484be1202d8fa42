// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "mdflush.h"
#include "kernel/module.hpp"
#include "output/task_columns.hpp"
#include "request.hpp"
#include "shape/stream.hpp"

#include "mdflush.skel.h"

namespace
{

using namespace corebox;
using P = decltype(mdflush_bpf::progs);

struct Options : mdflush_config {
    std::string_view name;
};

constexpr Example kExamples[] = {
    {"mdflush", "Trace every flush of software RAID arrays when it starts"},
    {"mdflush -l -d md0", "Trace the flushes of one array when they end, with their latency"},
};

constexpr Option kOptions[] = {
    flag<&Options::latency>('l', "latency", "Wait for the end of each flush, print its latency"),
    opt<&Options::name>('d', "device", "ARRAY", "Trace only this array", {}, {}, "disk"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'c', "cgroup"}};

constexpr Column kColumns[] = {
    time_column<&mdflush_event::task>({}),
    col<&mdflush_event::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&mdflush_event::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&mdflush_event::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const mdflush_event& e) -> Value { return e.disk; }>("device", "DEVICE", 9,
                                                                "Name of the array")
        .from<field<&mdflush_event::disk>>(),
    col<&mdflush_event::bytes>("bytes", "BYTES", 8, "Bytes to write after the flush", kJsonOnly),
    col<[](const mdflush_event& e) {
        return Fixed{e.lat_ns / 1000, 3};
    }>("lat_ms", "LAT(ms)", -9, "Milliseconds until the flush and its data are written",
       costly("latency")),
    col<[](const mdflush_event& e) {
        return e.lat_ns ? Value(Errno{request_errno(int(e.status))}) : Value(Absent{});
    }>("error", "ERROR", 8, "Name of the errno it failed with, if its end was waited for",
       kJsonOnly)
        .as(ColumnType::text),
};

Obstacle no_md(const Facts& facts) { return no_module(facts, "md_mod"); }
Obstacle no_md_types(const Facts& facts) { return no_module_types(facts, "md_mod"); }

constexpr Need kNeeds[] = {
    {"flush requests to arrays",
     {rung<&P::flush_fentry>("fentry", {}, nullptr, no_md_types),
      rung<&P::flush_kprobe>("kprobe", {}, nullptr, no_md)}},
    {"their ends", {rung<&P::done_raw_tp>("raw_tp")}, "latency"},
};

Targets targets(const Options&)
{
    static constexpr Target kFlush[] = {{"%flush", "md_flush_request", "md_mod"}};
    return kFlush;
}

constexpr Stream<mdflush_bpf, Options, mdflush_event> kTool{
    .about = {.name = "mdflush",
              .area = "block",
              .summary = "Trace flush requests to software RAID arrays",
              .details = "Prints one line for each flush request to an md array, which passes it "
                         "on to all of its disks.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .targets = targets,
    .setup =
        [](mdflush_bpf&, Options& o, const Session&) {
            if (!o.name.empty())
                o.disk = find_any_disk(o.name).device;
        },
    .decode =
        [](mdflush_event& row, const Options&, const void* record, std::size_t) {
            row = *static_cast<const mdflush_event*>(record);
            return true;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
