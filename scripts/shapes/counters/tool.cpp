// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "@name@.h"
#include "shape/counters.hpp"
#include "@name@.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(@name@_bpf::progs);

struct Options : @name@_config {
};

constexpr Example kExamples[] = {
    {"@name@ 1", "A report each second"},
};

constexpr Option kOptions[] = {
    flag<&Options::no_roots>('n', "no-roots", "Ignore changes to the root of a file system"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const CounterRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "End of the interval"),
    col<[](const CounterRow& r) { return r.rate(CHANGES); }>("changes_per_s", "CHANGE/s", -9, "Changes a second"),
    col<[](const CounterRow& r) { return r.rate(ROOTS); }>("roots_per_s", "ROOT/s", -9, "Changes to roots a second"),
    col<[](const CounterRow& r) { return r.count.n[CHANGES]; }>("changes", "CHANGES", -9, "Changes in the interval", kJsonOnly),
};

// The first rung that this kernel has is taken; --explain says which.
constexpr Need kNeeds[] = {
    {"changes of the working directory",
     {rung<&Progs::chdir_fentry>("fentry"), rung<&Progs::chdir_kprobe>("kprobe")}},
};

constexpr Counters<@name@_bpf, Options> kTool{
    .about = {.name = "@name@",
              .area = "@area@",
              .summary = "Count changes of the working directory",
              .details = "One line an interval, of chdir(2) and fchdir(2).",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
