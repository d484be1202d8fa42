// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "switchcount.h"
#include "shape/top.hpp"
#include <cstring>

#include "switchcount.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(switchcount_bpf::progs);

struct Options {
};

struct Row {
    std::uint64_t time_ns = 0;
    switch_key key{};
    switch_stat stat{};
};

constexpr Example kExamples[] = {
    {"switchcount -C", "Print the most frequent switches, every second"},
    {"switchcount -p 181 10 1", "Show the switches from and to process 181 for ten seconds"},
    {"switchcount --json -- make", "Count the switches of make and its children, as JSON"},
};

constexpr Alias kAliases[] = {
    {"task_switch", {}, "Count switches between tasks"},
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.key.prev; }>(
        "prev_tid", "FROM", 7, "Thread that leaves the CPU; 0 if the CPU was idle"),
    col<[](const Row& r) -> Value { return r.stat.prev_comm; }>("prev_comm", "FROM COMM", 16,
                                                                "Command name of this thread"),
    col<[](const Row& r) { return r.key.next; }>(
        "next_tid", "TO", 7, "Thread that gets the CPU; 0 if the CPU becomes idle"),
    col<[](const Row& r) -> Value { return r.stat.next_comm; }>("next_comm", "TO COMM", 16,
                                                                "Command name of this thread"),
    col<[](const Row& r) { return r.stat.switches; }>("switches", "SWITCHES", -9,
                                                      "Number of switches"),
    col<[](const Row& r) { return r.stat.prev_pid; }>(
        "prev_pid", "FROM PID", 8, "Process ID of the thread that leaves the CPU", kJsonOnly),
    col<[](const Row& r) { return r.stat.next_pid; }>(
        "next_pid", "TO PID", 8, "Process ID of the thread that gets the CPU", kJsonOnly),
};

constexpr Column kFields[] = {
    event_field<field<&switch_event::prev_pid>>("prev_pid",
                                                "Process ID of the thread that leaves the CPU"),
    event_field<field<&switch_event::prev_tid>>("prev_tid", "Its thread ID"),
    event_field<field<&switch_event::prev_comm>>("prev_comm", "Its command name"),
    event_field<field<&switch_event::next_pid>>("next_pid",
                                                "Process ID of the thread that gets the CPU"),
    event_field<field<&switch_event::next_tid>>("next_tid", "Its thread ID"),
    event_field<field<&switch_event::next_comm>>("next_comm", "Its command name"),
    event_field<field<&switch_event::cpu>>("cpu", "CPU")};

constexpr Need kNeeds[] = {
    {"switches of the CPUs",
     {rung<&Progs::switch_tp_btf>("tp_btf"), rung<&Progs::switch_raw_tp>("raw_tp")}},
};

// The name that the kernel side noted is that of one of many.
void name_outside(std::uint32_t& tid, char (&comm)[COMM_LEN])
{
    if (tid != SWITCH_OUTSIDE)
        return;
    tid = 0;
    constexpr char kUnknown[] = "?";
    std::memcpy(comm, kUnknown, sizeof kUnknown);
}

constexpr Top<switchcount_bpf, Options, Row> kTool{
    .about = {.name = "switchcount",
              .area = "sched",
              .summary = "Count switches between tasks",
              .details = "Prints one line for each pair of threads: how often the CPU switched "
                         "from the first to the second in the interval.",
              .examples = kExamples,
              .aliases = kAliases},
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .decode =
        [](Row& row, const Entries& entries, std::size_t entry) {
            row.key = entries.key<switch_key>(entry);
            entries.values<switch_stat>(entry, [&](const auto& stat) { row.stat = stat; });
            name_outside(row.key.prev, row.stat.prev_comm);
            name_outside(row.key.next, row.stat.next_comm);
        },
    .weight = [](const Row& row, const Options&) -> std::uint64_t { return row.stat.switches; },
    .events = [](const Row& row) -> std::uint64_t { return row.stat.switches; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
