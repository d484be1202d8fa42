// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "@name@.h"
#include "shape/stream.hpp"
#include "@name@.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(@name@_bpf::progs);

struct Options : @name@_config {
};

struct Row {
    const @name@_event* event = nullptr;
};

constexpr Example kExamples[] = {
    {"@name@ -p 181", "Trace process 181"},
};

constexpr Option kOptions[] = {
    flag<&Options::no_roots>('n', "no-roots", "Skip changes to the root of a file system"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.event->time_ns}; }>("time_ns", "TIME", 8, "Time of the event"),
    col<[](const Row& r) { return r.event->pid; }>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) -> Value { return r.event->comm; }>("comm", "COMM", 16, "Command name"),
    col<[](const Row& r) -> Value { return r.event->dir; }>("dir", "DIR", 0, "Name of the directory"),
};

// The first rung that this kernel has is taken; --explain says which.
constexpr Need kNeeds[] = {
    {"changes of the working directory",
     {rung<&Progs::chdir_fentry>("fentry"), rung<&Progs::chdir_kprobe>("kprobe")}},
};

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    row.event = static_cast<const @name@_event*>(record);
    return true; // false: user space filters it
}

constexpr Stream<@name@_bpf, Options, Row> kTool{
    .about = {.name = "@name@",
              .area = "@area@",
              .summary = "Trace changes of the working directory",
              .details = "Prints one line for each chdir(2) and fchdir(2).",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
