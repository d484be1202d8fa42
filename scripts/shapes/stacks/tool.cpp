// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "@name@.h"
#include "shape/stacks.hpp"
#include "@name@.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(@name@_bpf::progs);

struct Options : StackOptions {
    bool no_roots = false;
};

constexpr Example kExamples[] = {
    {"@name@ 10", "For ten seconds"},
};

constexpr Option kOptions[] = {
    flag<&Options::no_roots>('n', "no-roots", "Ignore changes to the root of a file system"),
    stack_option::folded,
    stack_option::user_only,
    stack_option::kernel_only,
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    stack_column::comm,
    stack_column::pid,
    col<&StackRow::events>("count", "COUNT", -8, "Changes"),
    stack_column::user,
    stack_column::kernel,
};

// The first rung that this kernel has is taken; --explain says which.
constexpr Need kNeeds[] = {
    {"changes of the working directory",
     {rung<&Progs::chdir_fentry>("fentry"), rung<&Progs::chdir_kprobe>("kprobe")}},
};

constexpr Stacks<@name@_bpf, Options> kTool{
    .about = {.name = "@name@",
              .area = "@area@",
              .summary = "Show from where the working directory is changed",
              .details = "Counts chdir(2) and fchdir(2) by stack.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .unit = {.name = "changes"},
    .setup = [](@name@_bpf& s, Options& o, const Session&) { s.rodata->cfg.no_roots = o.no_roots; },
    .banner = [](const Options&, const Session&) -> std::string {
        return "Tracing changes of the working directory... Hit Ctrl-C to end.";
    },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
