// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "numasched.h"
#include "shape/stream.hpp"
#include "threads.hpp"

#include "numasched.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(numasched_bpf::progs);

struct Options {
};

constexpr Example kExamples[] = {
    {"numasched", "Trace all moves"},
    {"numasched -p 181", "Trace the moves of process 181"},
    {"numasched -c mysqld --json", "Trace the moves of all mysqld processes, as JSON"},
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'c', "comm"}};

constexpr Column kColumns[] = {
    col<[](const numasched_event& e) { return WallTime{e.time_ns}; }>(
        "time_ns", "TIME", 8, "Time when the thread first ran on the new node"),
    col<&numasched_event::pid>("pid", "PID", 8, "Process ID"),
    col<&numasched_event::tid>("tid", "TID", 8, "Thread ID"),
    col<[](const numasched_event& e) { return std::uint32_t(e.from); }>(
        "from_node", "SRC_NID", 8, "Node that the thread ran on before")
        .from<field<&numasched_event::from>>(),
    col<[](const numasched_event& e) { return std::uint32_t(e.to); }>(
        "to_node", "DST_NID", 8, "Node that the thread runs on now")
        .from<field<&numasched_event::to>>(),
    col<[](const numasched_event& e) -> Value { return e.comm; }>("comm", "COMM", 16,
                                                                  "Command name of the thread")
        .from<field<&numasched_event::comm>>(),
    col<&numasched_event::cpu>("cpu", "CPU", 4, "CPU that the thread runs on now", kJsonOnly),
};

constexpr Need kNeeds[] = {
    {"switches of the CPUs",
     {rung<&Progs::switch_tp_btf>("tp_btf"), rung<&Progs::switch_raw_tp>("raw_tp")}},
};

constexpr std::uint32_t kMostThreads = 1 << 22; // PID_MAX_LIMIT, linux/threads.h

constexpr Stream<numasched_bpf, Options, numasched_event> kTool{
    .about =
        {.name = "numasched",
         .area = "sched",
         .summary = "Trace threads that move from one NUMA node to another",
         .details =
             "Prints a line each time a thread runs on a CPU of another NUMA node than before.",
         .examples = kExamples},
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](numasched_bpf& s, Options&, const Session&) {
            const std::uint32_t threads = thread_ids_within(kMostThreads);
            bpf_map__set_max_entries(s.maps.last_nodes, threads / NODES_PER_ENTRY + 1);
        },
    .decode =
        [](numasched_event& row, const Options&, const void* record, std::size_t) {
            row = *static_cast<const numasched_event*>(record);
            return true;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
