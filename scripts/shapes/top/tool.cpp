// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "@name@.h"
#include "shape/top.hpp"
#include "@name@.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(@name@_bpf::progs);

struct Options : @name@_config {
};

struct Row {
    std::uint64_t time_ns = 0; // of the report
    @name@_key key{};
    @name@_stat stat{};
};

constexpr Example kExamples[] = {
    {"@name@ 1", "A report each second"},
};

constexpr Option kOptions[] = {
    flag<&Options::no_roots>('n', "no-roots", "Ignore changes to the root of a file system"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.key.pid; }>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) -> Value { return r.stat.comm; }>("comm", "COMM", 16, "Command name"),
    col<[](const Row& r) { return r.stat.changes; }>("changes", "CHANGES", -8, "Changes in the interval"),
};

// The first rung that this kernel has is taken; --explain says which.
constexpr Need kNeeds[] = {
    {"changes of the working directory",
     {rung<&Progs::chdir_fentry>("fentry"), rung<&Progs::chdir_kprobe>("kprobe")}},
};

void decode(Row& row, const Entries& entries, std::size_t entry)
{
    row.key = entries.key<@name@_key>(entry);
    entries.values<@name@_stat>(entry, [&](const @name@_stat& s) { row.stat = s; });
}

constexpr Top<@name@_bpf, Options, Row> kTool{
    .about = {.name = "@name@",
              .area = "@area@",
              .summary = "Show who changes the working directory most",
              .details = "One line for each process, the busiest first.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
    .weight = [](const Row& r, const Options&) -> std::uint64_t { return r.stat.changes; },
    .events = [](const Row& r) -> std::uint64_t { return r.stat.changes; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
