// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "@name@.h"
#include "shape/histogram.hpp"
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
    col<[](const @name@_key& k) -> Value { return k.comm; }>("comm", "comm", 16, "Command name"),
};

// The first rung that this kernel has is taken; --explain says which.
constexpr Need kNeeds[] = {
    {"changes of the working directory",
     {rung<&Progs::chdir_fentry>("fentry"), rung<&Progs::chdir_kprobe>("kprobe")}},
};

constexpr Histogram<@name@_bpf, Options, @name@_key> kTool{
    .about = {.name = "@name@",
              .area = "@area@",
              .summary = "Lengths of the names of working directories",
              .details = "A histogram for each command, of chdir(2) and fchdir(2).",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .unit = [](const Options&) { return Unit{"bytes"}; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
