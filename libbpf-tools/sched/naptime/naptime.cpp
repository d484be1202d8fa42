// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "naptime.h"
#include "shape/stream.hpp"
#include <algorithm>
#include <ctime>

#include "naptime.skel.h"

namespace
{
using namespace corebox;
using P = decltype(naptime_bpf::progs);

struct Options {
};

struct Row : nap_event {
    std::int64_t length_ns = 0;
};

constexpr Example kExamples[] = {
    {"naptime", "Trace the sleeps of all processes"},
    {"naptime -p 181", "Show what process 181 sleeps for"},
    {"naptime --where 'pcomm == \"backup.sh\"'", "Show the sleeps of the commands of a script"},
};

constexpr Letter kLetters[] = {{'p', "pid"}};

using E = nap_event;
constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>("time_ns", "TIME", 8, "Time of day"),
    col<[](const Row& r) { return r.ppid; }>("ppid", "PPID", 7, "Process ID of the parent")
        .from<field<&E::ppid>>(),
    col<[](const Row& r) -> Value { return r.pcomm; }>("pcomm", "PCOMM", 16,
                                                       "Command name of the parent")
        .from<field<&E::pcomm>>(),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) { return r.task.tid; }>("tid", "TID", 7, "Thread ID", kJsonOnly)
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) { return r.task.uid; }>("uid", "UID", 6, "User ID", kJsonOnly)
        .from<field<&task_info::uid>>(),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16,
                                                           "Command name of the thread")
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) {
        return Fixed{std::uint64_t(std::max<std::int64_t>(r.length_ns, 0)), 9};
    }>("sleep_s", "SECONDS", 14, "Time that the thread asked to sleep")
        .in_user_space(),
};

constexpr Need kNeeds[] = {
    {.what = "sleeps", .rungs = {rung<&P::nap_fentry>("fentry"), rung<&P::nap_kprobe>("kprobe")}},
};

std::int64_t now(clockid_t clock)
{
    timespec t{};
    return ::clock_gettime(clock, &t) == 0 ? t.tv_sec * 1'000'000'000ll + t.tv_nsec : 0;
}

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    static_cast<nap_event&>(row) = *static_cast<const nap_event*>(record);
    row.length_ns = row.ns;
    if (row.absolute) // at that time its clock showed
        row.length_ns -=
            std::int64_t(row.task.time_ns) + now(clockid_t(row.clock)) - now(CLOCK_MONOTONIC);
    return true;
}

constexpr Stream<naptime_bpf, Options, Row> kTool{
    .about = {.name = "naptime",
              .area = "sched",
              .summary = "Trace the sleeps that processes ask for",
              .details = "Prints one line for each nanosleep(2) and clock_nanosleep(2), with the "
                         "parent of the process and the requested time.",
              .examples = kExamples},
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
