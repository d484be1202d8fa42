// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funclatency.h"
#include "call.hpp"
#include "shape/histogram.hpp"

#include "funclatency.skel.h"

namespace
{
using namespace corebox;

// LOW:HIGH:STEP of a linear histogram.
struct Linear {
    std::uint64_t low = 0, high = 0, step = 0;

    static std::string parse(std::string_view s, Linear& out)
    {
        const auto parts = split(s, ':');
        const auto part = [&](std::size_t i) {
            return parts.size() == 3 ? to_number<std::uint64_t>(parts[i]) : std::nullopt;
        };
        const auto low = part(0), high = part(1), step = part(2);
        if (!low || !high || !step || *step == 0 || *high <= *low)
            return "LOW:HIGH:STEP, three numbers such as 0:100:5";
        out = {*low, *high, *step};
        if (out.steps() > kMostSteps)
            return cat("with at most ", kMostSteps, " steps");
        return {};
    }
    static constexpr std::uint64_t kMostSteps = HIST_ROWS - 2;
    std::uint64_t steps() const { return step ? (high - low + step - 1) / step : 0; }
};

struct Options : funclatency_config, CallOptions {
    std::string_view pattern;
    bool microseconds = false, milliseconds = false;
    Linear linear;
    std::uint32_t level = 0;
};

struct Row {
    std::string_view function;
    std::uint32_t pid;
};

constexpr Example kExamples[] = {
    {"funclatency do_nanosleep", "Measure do_nanosleep(), in nanoseconds"},
    {"funclatency -F -u 'vfs_*' -i 1 -d 10",
     "Measure each vfs_ function in microseconds, every second"},
    {"funclatency -m c:read -p 181", "Measure read() of the C library in process 181"},
    {"funclatency -u --linear 0:100:5 vfs_read", "Use steps of 5 microseconds"},
    {"funclatency -l 1 /opt/app:visit", "Measure only the outermost of recursive calls"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pattern>(0, "pattern", "PATTERN",
                           "Functions: 'vfs_*', c:malloc, /path/program:name"),
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time above each report"),
    flag<&Options::microseconds>('u', "microseconds", "Show microseconds"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    flag<&Options::per_function>('F', "function", "Show a histogram for each function"),
    flag<&Options::per_process>(0, "per-process", "Show a histogram for each process"),
    show('r', "regexp", "Treat the pattern as a regular expression"),
    opt<&Options::level>('l', "level", "LEVEL", "Measure only the outermost LEVEL nested calls",
                         {1, CALL_DEPTH}),
    opt<&Options::linear>(0, "linear", "LOW:HIGH:STEP", "Use equal steps instead of powers of two"),
    show('k', "kprobes", "Use kprobes even where fexit is available"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'d', "duration"}, {'c', "cgroup"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Value(r.function); }>("function", "FUNC", 26,
                                                        "Name of the function", costly("function")),
    col<&Row::pid>("pid", "PID", 7, "Process ID", costly("per-process")),
};

Unit unit(const Options& o)
{
    return o.milliseconds   ? Unit{"msecs", 1'000'000}
           : o.microseconds ? Unit{"usecs", 1'000}
                            : Unit{"nsecs", 1};
}

constexpr auto kNeeds = kCallNeeds<funclatency_bpf, Options>;

void prepare(Options& o, Session& session)
{
    if (o.pattern.empty())
        fail_usage("missing PATTERN; for example: funclatency vfs_read");
    if (o.microseconds && o.milliseconds)
        fail_usage("--microseconds and --milliseconds exclude each other");
    o.choose(find_calls(o.pattern,
                        session.given("regexp") ? FunctionPattern::Syntax::regex
                                                : FunctionPattern::Syntax::glob,
                        session),
             session);
    o.take_condition(session, kNeeds, funclatency_bpf::elf_bytes);
    // As BCC does: calls of a library come from anywhere.
    if (o.user && session.pids.empty()) {
        o.per_function = o.per_process = true;
        session.given_names.insert({"function", "per-process"});
    }
    o.unit_ns = unit(o).raw;
    o.low_ns = o.linear.low * o.unit_ns;
    o.step_ns = o.linear.step * o.unit_ns;
    o.steps = std::uint32_t(o.linear.steps());
}

constexpr Histogram<funclatency_bpf, Options, funclatency_key, Row> kTool{
    .about = {.name = "funclatency",
              .area = "dynamic",
              .summary = "Show how long functions take as a histogram",
              .details = "Measures the time from entry to return of functions of the kernel, of "
                         "libraries and of programs. --linear uses the unit of the histogram.",
              .examples = kExamples,
              .smoke = {"vfs_read"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kReturnFields,
    .unit = unit,
    .buckets =
        [](const Options& o) {
            const Linear& linear = o.linear;
            return linear.step ? Buckets{linear.step, linear.low, o.steps + (linear.low ? 1 : 0)}
                               : Buckets{};
        },
    .totals = true,
    .keyed = [](const Options& o) { return o.per_function || o.per_process; },
    .decode =
        [](Row& row, const Options& o, const funclatency_key& key) {
            if (key.function < o.size())
                row.function = o.point(key.function).name;
            row.pid = key.pid;
        },
    .targets = [](const Options& o) { return o.targets(); },
    .setup =
        [](funclatency_bpf& s, Options& o, const Session&) {
            prepare_calls(s, o);
            s.rodata->cb_call.level = o.level;
        },
    .resolved =
        [](funclatency_bpf& s, const Launcher&) {
            // Two generations; where they are allocated beforehand, for all of them.
            constexpr std::uint32_t kMost = 65536, kProcesses = 64, kParts = 8;
            const auto& cfg = s.rodata->cfg;
            const std::uint32_t parts = 2 * kParts *
                                        (cfg.per_function ? s.rodata->cb_functions.count : 1) *
                                        (cfg.per_process ? kProcesses : 1);
            if (!bpf_map__map_flags(s.maps.cb_hists))
                bpf_map__set_max_entries(s.maps.cb_hists, std::clamp(parts, 512u, kMost));
        },
    .prepare = prepare,
    .chosen = [](const Options& o) { return chosen_calls(kNeeds, o); },
    .attached = [](const Options& o, const Session& session) { say_traced(o, session); },
    .ending = [](funclatency_bpf& s, Options& o) { end_calls(s, o); },
    .detached =
        [](funclatency_bpf&, Options& o, Account& account) {
            o.detach();
            account.unreturned = o.unreturned;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
