// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "uflow.h"
#include "../runtime.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include <algorithm>
#include <cstddef>

#include "uflow.skel.h"

namespace
{
using namespace corebox;
using P = decltype(uflow_bpf::progs);

constexpr std::string_view kLanguages = "java|node|perl|php|python|ruby|tcl";

struct Options : uflow_config {
    RuntimeChoice language;
    std::uint32_t pid = 0;
    std::vector<const Runtime*> runtimes;
};

struct Row : uflow_event {
    std::uint64_t first_ns = 0;
    std::string flow, class_text, method_text;
};

constexpr Alias kAliases[] = {
    {"javaflow", {"-l", "java"}, "Trace the flow of calls of Java methods"},
    {"perlflow", {"-l", "perl"}, "Trace the flow of calls of Perl subs"},
    {"phpflow", {"-l", "php"}, "Trace the flow of calls of PHP functions"},
    {"pythonflow", {"-l", "python"}, "Trace the flow of calls of Python functions"},
    {"rubyflow", {"-l", "ruby"}, "Trace the flow of calls of Ruby methods"},
    {"tclflow", {"-l", "tcl"}, "Trace the flow of calls of Tcl procedures"},
};

constexpr Example kExamples[] = {
    {"uflow 181", "Trace calls and returns of process 181"},
    {"uflow -C java/util/ 181", "Trace only methods of classes that begin so"},
    {"perlflow -M work -- perl job.pl", "Trace subs of a command whose names begin so"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pid>(0, "process", "PID", "Trace this process", {1, 1 << 22}),
};

constexpr Option kOptions[] = {
    choice<&Options::language>('l', "language", kLanguages,
                               "Trace this language (default: by PID)"),
    opt<&uflow_config::method>('M', "method", "PREFIX", "Trace only methods that begin so"),
    opt<&uflow_config::klass>('C', "class", "PREFIX", "Trace only classes that begin so"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'v', "debug"}};

constexpr std::string_view kEvents[] = {"call", "return"};

constexpr Formula kDuration = field<&uflow_event::duration_ns>;

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>("time_ns", "TIME", 8, "Time of day",
                                                               kJsonOnly),
    col<[](const Row& r) { return r.cpu; }>("cpu", "CPU", 3, "CPU")
        .from<field<&uflow_event::cpu>>(),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) { return r.task.tid; }>("tid", "TID", 7, "Thread ID")
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16, "Command name",
                                                           kJsonOnly)
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) {
        return Fixed{r.task.time_ns - std::min<std::uint64_t>(r.first_ns, r.task.time_ns), 3};
    }>("since_us", "TIME(us)", 14, "Microseconds since the first event"),
    col<[](const Row& r) { return std::string_view(r.flow); }>(
        "flow", "METHOD", 0, "-> a call, or <- a return, of CLASS.METHOD", kTextOnly),
    col<[](const Row& r) { return Trusted{kEvents[r.is_end & 1]}; }>("event", "EVENT", 6,
                                                                     "call or return", kJsonOnly)
        .from_names<field<&uflow_event::is_end>, kEvents>(),
    col<[](const Row& r) { return r.depth; }>("depth", "DEPTH", 5,
                                              "Calls that are under way below it", kJsonOnly)
        .from<field<&uflow_event::depth>>(),
    col<[](const Row& r) { return std::string_view(r.class_text); }>(
        "class", "CLASS", 30, "Class, package or file of the method", kJsonOnly),
    col<[](const Row& r) { return std::string_view(r.method_text); }>(
        "method", "NAME", 30, "Name of the method", kJsonOnly),
    col<[](const Row& r) { return r.duration_ns ? Value(r.duration_ns) : Value(); }>(
        "duration_ns", "DURATION(ns)", 12, "Of a return: time since the call", kJsonOnly)
        .from<present(kDuration, kDuration)>(),
};

constexpr Need kNeeds[] = {
    {.what = "calls", .rungs = runtime_rungs<&P::enter, RuntimeEvent::call, Options>()},
    {.what = "all calls of python",
     .rungs = runtime_rungs<&P::nothing, RuntimeEvent::exactness, Options>()},
    {.what = "ends of calls",
     .rungs = runtime_rungs<&P::leave, RuntimeEvent::call_end, Options>(),
     .optional = true,
     .without = "returns"},
};

void prepare(Options& o, Session& session)
{
    if (o.pid)
        session.pids.push_back(o.pid);
    o.method_length = __u32(::strnlen(o.method, sizeof o.method));
    o.klass_length = __u32(::strnlen(o.klass, sizeof o.klass));
    constexpr RuntimeEvent kCall[] = {RuntimeEvent::call};
    o.runtimes = {&choose_runtime(session, o.language.name(kLanguages), kCall)};
    if (probes_of(*o.runtimes[0], RuntimeEvent::call_end).empty())
        say(session.tool, cat(o.runtimes[0]->name, ": returns are not shown: there is no probe"));
}

bool decode(Row& row, const Options&, const void* record, std::size_t size)
{
    uflow_event& e = row;
    e = {};
    std::memcpy(&e, record, std::min(size, sizeof e));
    if (!row.first_ns)
        row.first_ns = e.task.time_ns;
    row.class_text = class_of(e.name);
    row.method_text = method_of(e.name);
    // Deeper calls are not further to the right: a line has an end.
    constexpr std::uint32_t kDeepest = 100;
    row.flow.assign(std::min(e.depth, kDeepest) * 2, ' ');
    row.flow += cat(e.is_end ? "<- " : "-> ", name_of(e.name));
    return true;
}

constexpr Stream<uflow_bpf, Options, Row> kTool{
    .about = {.name = "uflow",
              .area = "user",
              .summary = "Trace the flow of calls in high-level languages",
              .details = "Prints one line for each call and return of a method, sub or procedure "
                         "of Java, Perl, PHP, Python, Ruby and Tcl, indented by depth.",
              .examples = kExamples,
              .aliases = kAliases,
              .smoke = {"-l", "perl"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](uflow_bpf& s, Options& o, const Session&) {
            s.rodata->cb_names = name_arguments(*o.runtimes[0], RuntimeEvent::call);
        },
    .decode = decode,
    .also = Shared::user_symbols,
    .prepare = prepare,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
