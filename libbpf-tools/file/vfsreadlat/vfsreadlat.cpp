// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vfsreadlat.h"
#include "call_time.hpp"
#include "output/task_fields.hpp"
#include "shape/histogram.hpp"

#include "vfsreadlat.skel.h"

namespace
{
using namespace corebox;
using P = decltype(vfsreadlat_bpf::progs);

struct Options : vfsreadlat_config {
    bool milliseconds = false;
};

constexpr Example kExamples[] = {
    {"vfsreadlat", "Print a histogram every 5 seconds"},
    {"vfsreadlat 1 10", "Print ten reports, one per second"},
    {"vfsreadlat --by-process 1 1", "Show a histogram for each process"},
};

constexpr Option kOptions[] = {
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    flag<&Options::by_process>('P', "by-process", "Show a histogram for each process"),
    show('T', "timestamp", "Print the time of day"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<&vfsreadlat_key::pid>("pid", "PID", 7, "Process ID", costly("by-process")),
    col<[](const vfsreadlat_key& key) -> Value { return key.comm; }>(
        "comm", "COMM", 16, "Command name of the thread", costly("by-process")),
};

constexpr std::string_view kBlind = "readv, sendfile, io_uring, AIO, mmap";

constexpr Column kFields[] = {task_field::microseconds("lat_us", "Duration in microseconds"),
                              task_field::nanoseconds("lat_ns", "Duration in nanoseconds"),
                              task_field::pid,
                              task_field::tid,
                              task_field::comm,
                              task_field::cpu};

constexpr Need kNeeds[] = {
    {"reads",
     {rung<&P::read_fexit, &P::read_fentry>("fexit", kBlind),
      rung<&P::read_kretp, &P::read_kprobe>("kprobe", kBlind)}},
};

constexpr Histogram<vfsreadlat_bpf, Options, vfsreadlat_key> kTool{
    .about = {.name = "vfsreadlat",
              .area = "file",
              .summary = "Show the latency of reads as a histogram",
              .details = "Measures vfs_read(): read(2) and pread(2) of files, sockets, pipes and "
                         "terminals. The time includes waiting for data.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options& o) {
            return o.milliseconds ? Unit{"msecs", 1'000'000} : Unit{"usecs", 1'000};
        },
    .keyed = [](const Options& o) { return o.by_process; },
    .interval = std::chrono::seconds(5),
    .setup = [](vfsreadlat_bpf&, Options& o,
                const Session&) { o.unit_ns = o.milliseconds ? 1'000'000 : 1'000; },
    .detached = calls_detached,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
