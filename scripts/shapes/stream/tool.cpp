// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "@name@.h"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include "@name@.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(@name@_bpf::progs);

struct Options : @name@_config {
};

struct Row {
    task_info task;
    std::string_view dir;
};

constexpr Example kExamples[] = {
    {"@name@ -p 181", "Trace process 181"},
};

constexpr Option kOptions[] = {
    flag<&Options::no_roots>('n', "no-roots", "Skip changes to the root of a file system"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    time_column<&Row::task>({}),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16, "Command name"),
    col<&Row::dir>("dir", "DIR", 0, "Name of the directory"),
};

// The first rung that this kernel has is taken; --explain says which.
constexpr Need kNeeds[] = {
    {"changes of the working directory",
     {rung<&Progs::chdir_fentry>("fentry"), rung<&Progs::chdir_kprobe>("kprobe")}},
};

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    const auto& event = *static_cast<const @name@_event*>(record);
    row.task = event.task;
    row.dir = c_str(event.dir);
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
