// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/calls.hpp"
#include "shape/left_out.hpp"

#include "vfscount.skel.h"

namespace
{
using namespace corebox;

constexpr std::string_view kPattern = "vfs_*";

struct Options {
    FunctionProbes* probes = nullptr;
    std::string_view pattern = kPattern;
    Seconds time{0};
};

constexpr Example kExamples[] = {
    {"vfscount", "Count the calls of each vfs_ function until Ctrl-C"},
    {"vfscount 5", "Count for 5 seconds"},
    {"vfscount -i 1 -p 181", "Count the calls of process 181, every second"},
    {"vfscount --pattern 'ext4_*' -- make", "Count the calls of functions of ext4 by make"},
};

constexpr Option kPositionals[] = {
    opt<&Options::time>(0, "time", "TIME", "Seconds to run, such as 10 or 0.5"),
};

constexpr Option kOptions[] = {
    opt<&Options::pattern>(0, "pattern", "PATTERN", "Count these functions (default: vfs_*)"),
    show('r', "regexp", "Treat the pattern as a regular expression"),
    show('T', "timestamp", "Print the time above each report"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'d', "duration"}};

constexpr Column kColumns[] = {
    col<[](const CallRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                              "End of the interval", kJsonOnly),
    col<[](const CallRow& r) { return Hex{r.function->address}; }>("address", "ADDR", 18,
                                                                   "Address of the function"),
    col<[](const CallRow& r) { return Trusted{r.function->name}; }>("function", "FUNC", 32,
                                                                    "Name of the function"),
    col<[](const CallRow& r) -> Value {
        if (r.function->module.empty())
            return Absent{};
        return Trusted{r.function->module};
    }>("module", "MODULE", 12, "Kernel module that contains the function", kJsonOnly),
    col<&CallRow::calls>("count", "COUNT", -8, "Number of calls in the interval"),
    col<&CallRow::interval_ns>("interval_ns", "INTERVAL", -12,
                               "Measured length of the interval in nanoseconds", kJsonOnly),
};

constexpr Need kNeeds[] = {kFunctionNeed<vfscount_bpf, Options>};

constexpr Calls<vfscount_bpf, Options> kTool{
    .about = {.name = "vfscount",
              .area = "file",
              .summary = "Count calls of the functions of the virtual file system",
              .details =
                  "Prints how often each kernel function was called whose name begins with vfs_ or "
                  "matches the pattern, the rarest first. A pattern may have *, ? and [...].",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .prepare =
        [](Options& o, Session& session) {
            if (!session.given("time"))
                return;
            if (o.time.count() == 0)
                fail_usage("TIME must be greater than 0");
            session.duration = o.time;
        },
    .points =
        [](const Options& o, const Session& session) {
            const FunctionPattern pattern(o.pattern, session.given("regexp")
                                                         ? FunctionPattern::Syntax::regex
                                                         : FunctionPattern::Syntax::glob);
            auto functions = find_functions(pattern);
            say_left_out(leave_out_own(functions, pattern), session);
            return functions;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
