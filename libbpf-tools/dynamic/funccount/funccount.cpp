// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funccount.h"
#include "../function_where.hpp"
#include "../points_option.hpp"
#include "shape/calls.hpp"

#include "funccount.skel.h"

namespace
{
using namespace corebox;

struct Options : funccount_config {
    FunctionProbes* probes = nullptr;
    std::string_view pattern;
    PointCondition condition;
};

constexpr Example kExamples[] = {
    {"funccount 'vfs_*'", "Count the calls of each vfs_ function until Ctrl-C"},
    {"funccount -i 1 -T 't:sched:*'",
     "Count the scheduler's tracepoints every second, with the time"},
    {"funccount -p 181 'c:mem*'", "Count calls of the C library in process 181"},
    {"funccount -d 5 -r '^tcp_(send|recv)'",
     "Select functions by a regular expression, for 5 seconds"},
    {"funccount /usr/bin/python3:'Py_*' -- python3 a.py",
     "Count the calls of functions of a program during a command"},
    {"funccount 'u:c:*' -p 181", "Count hits of the USDT probes of the C library"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pattern>(0, "pattern", "PATTERN", kPatternHelp),
};

constexpr Option kOptions[] = {
    opt<&funccount_config::cpu>('c', "cpu", "CPU", "Count only calls on this CPU", {0, 1 << 16}),
    show('r', "regexp", "Treat the pattern as a regular expression"),
    show('T', "timestamp", "Print the time above each report"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'d', "duration"}, {'D', "debug"}};

constexpr Column kColumns[] = {
    col<[](const CallRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                              "End of the interval", kJsonOnly),
    col<[](const CallRow& r) { return std::string_view(r.function->name); }>(
        "function", "FUNC", 36, "Function, category:event, or provider:probe"),
    col<&CallRow::calls>("count", "COUNT", -8, "Number of calls in the interval"),
    col<[](const CallRow& r) -> Value {
        if (r.function->object)
            return std::string_view(r.function->object->path);
        if (r.function->module.empty())
            return Absent{};
        return std::string_view(r.function->module);
    }>("module", "MODULE", 24, "Kernel module or file that contains the function", kJsonOnly),
    col<[](const CallRow& r) -> Value {
        if (r.function->kind == Point::Kind::tracepoint)
            return Absent{};
        return Hex{r.function->sites.empty() ? r.function->address : r.function->sites[0].offset};
    }>("address", "ADDR", 18, "Address in the kernel, or offset in the file", kJsonOnly),
    col<&CallRow::interval_ns>("interval_ns", "INTERVAL", -12,
                               "Measured length of the interval in nanoseconds", kJsonOnly),
};

constexpr auto& kPoints = kPointNeeds<funccount_bpf, Options>;
constexpr Need kNeeds[] = {kPoints[0], kPoints[1], kPoints[2],
                           kSyscallsNeed<funccount_bpf, Options>};

constexpr Calls<funccount_bpf, Options> kTool{
    .about = {.name = "funccount",
              .area = "dynamic",
              .summary = "Count calls of functions, tracepoints and USDT probes",
              .details = "Prints one line for each function, tracepoint or USDT probe that matches "
                         "the pattern and was called: how often, the rarest first.",
              .examples = kExamples,
              .smoke = {"vfs_*"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .prepare =
        [](Options& o, Session& session) {
            if (o.pattern.empty())
                fail_usage("missing PATTERN; for example: funccount 'vfs_*'");
            o.by_cpu = session.given("cpu");
            o.condition.take(session);
        },
    .points = chosen_points<Options>,
    .banner = [](const Options& o,
                 const FunctionProbes& probes) { return points_banner(o.pattern, probes); },
    .setup = [](funccount_bpf& s, Options& o,
                const Session&) { s.rodata->cb_function_where = o.condition.config(); },
    .fields = kCallFields,
    .narrow =
        [](Options& o, Session& session, std::span<const Need> needs) {
            return o.condition.apply(session, *o.probes, needs, false, funccount_bpf::elf_bytes);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
