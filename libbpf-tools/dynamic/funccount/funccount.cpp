// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funccount.h"
#include "../points_option.hpp"
#include "shape/calls.hpp"

#include "funccount.skel.h"

namespace
{
using namespace corebox;

struct Options : funccount_config {
    FunctionProbes* probes = nullptr;
    std::string_view pattern;
};

constexpr Example kExamples[] = {
    {"funccount 'vfs_*'", "Calls of each vfs_ function, until Ctrl-C"},
    {"funccount -i 1 -T 't:sched:*'", "The scheduler's tracepoints, each second with the time"},
    {"funccount -p 181 'c:mem*'", "Of process 181, in the C library"},
    {"funccount -d 5 -r '^tcp_(send|recv)'", "By a regular expression, for 5 seconds"},
    {"funccount /usr/bin/python3:'Py_*' -- python3 a.py", "Functions of a program, by a command"},
    {"funccount 'u:c:*' -p 181", "Probes that the C library was built with (USDT)"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pattern>(0, "pattern", "PATTERN", kPatternHelp),
};

constexpr Option kOptions[] = {
    opt<&funccount_config::cpu>('c', "cpu", "CPU", "Only calls on this CPU", {0, 1 << 16}),
    show('r', "regexp", "The pattern is a regular expression"),
    show('T', "timestamp", "The time above each report"),
    show('D', "debug", "As --verbose"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'d', "duration"}};

constexpr Column kColumns[] = {
    col<[](const CallRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                              "End of the interval", kJsonOnly),
    col<[](const CallRow& r) { return std::string_view(r.function->name); }>(
        "function", "FUNC", 36, "Function, category:event, or provider:probe"),
    col<&CallRow::calls>("count", "COUNT", -8, "Calls in the interval"),
    col<[](const CallRow& r) -> Value {
        if (r.function->object)
            return std::string_view(r.function->object->path);
        if (r.function->module.empty())
            return Absent{};
        return std::string_view(r.function->module);
    }>("module", "MODULE", 24, "The kernel module or the file that it is in", kJsonOnly),
    col<[](const CallRow& r) -> Value {
        if (r.function->kind == Point::Kind::tracepoint)
            return Absent{};
        return Hex{r.function->sites.empty() ? r.function->address : r.function->sites[0].offset};
    }>("address", "ADDR", 18, "Address in the kernel; place in the file", kJsonOnly),
    col<&CallRow::interval_ns>("interval_ns", "INTERVAL", -12,
                               "Real length of the interval in nanoseconds", kJsonOnly),
};

constexpr Calls<funccount_bpf, Options> kTool{
    .about = {.name = "funccount",
              .area = "dynamic",
              .summary = "Count calls of functions, tracepoints and USDT probes",
              .details =
                  "One line for each function, tracepoint or probe of those that the pattern "
                  "chooses and that was called, and how often, the rarest first.",
              .examples = kExamples,
              .smoke = {"vfs_*"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kPointNeeds<funccount_bpf, Options>,
    .check =
        [](Options& o, Session& session) {
            if (o.pattern.empty())
                fail_usage("which functions? PATTERN, such as 'vfs_*' or t:sched:sched_switch");
            o.by_cpu = session.given("cpu");
            session.verbose |= session.given("debug");
        },
    .points = chosen_points<Options>,
    .banner = [](const Options& o,
                 const FunctionProbes& probes) { return points_banner(o.pattern, probes); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
