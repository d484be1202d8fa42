// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ucalls.h"
#include "../runtime.hpp"
#include "kernel/syscall_names.hpp"
#include "output/task_fields.hpp"
#include "shape/table.hpp"

#include "ucalls.skel.h"

namespace
{
using namespace corebox;
using P = decltype(ucalls_bpf::progs);

constexpr std::string_view kLanguages = "java|node|perl|php|python|ruby|tcl|none";

struct Options : ucalls_config {
    RuntimeChoice language;
    std::uint32_t pid = 0, top = 0;
    bool syscalls = false, milliseconds = false;
    std::vector<const Runtime*> runtimes;
};

struct Row {
    std::uint64_t time_ns = 0; // end of the interval
    std::string name{}, klass{}, method{};
    bool is_syscall = false, timed = false;
    ucalls_sums sums{};
};

constexpr Alias kAliases[] = {
    {"javacalls", {"-l", "java"}, "Count calls of Java methods"},
    {"perlcalls", {"-l", "perl"}, "Count calls of Perl subs"},
    {"phpcalls", {"-l", "php"}, "Count calls of PHP functions"},
    {"pythoncalls", {"-l", "python"}, "Count calls of Python functions"},
    {"rubycalls", {"-l", "ruby"}, "Count calls of Ruby methods"},
    {"tclcalls", {"-l", "tcl"}, "Count calls of Tcl procedures"},
};

constexpr Example kExamples[] = {
    {"ucalls 181", "Count the calls of process 181, until Ctrl-C"},
    {"ucalls -l perl -L -i 1", "Each second, count and time the subs of all Perl programs"},
    {"ucalls -T 10 -S 181 5", "Every 5 seconds, print the 10 most called, system calls too"},
    {"pythoncalls -- python3 job.py", "Count the calls of a command"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pid>(0, "process", "PID", "Trace this process", {1, 1 << 22}),
};

constexpr Option kOptions[] = {
    choice<&Options::language>('l', "language", kLanguages,
                               "Trace this language (default: by PID)"),
    opt<&Options::top>('T', "top", "N", "Print the N largest (JSON, CSV: all)", kPositive),
    flag<&Options::timed>('L', "latency", "Measure the time in calls, and sort by it"),
    flag<&Options::syscalls>('S', "syscalls", "Count system calls, too"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'v', "debug"}};

constexpr std::string_view kKinds[] = {"method", "syscall"};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return std::string_view(r.name); }>(
        "name", "METHOD", 50, "CLASS.METHOD, or the name of a system call"),
    col<[](const Row& r) { return r.is_syscall ? Value() : Value(std::string_view(r.klass)); }>(
        "class", "CLASS", 30, "Class, package or file of the method", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return r.is_syscall ? Value() : Value(std::string_view(r.method)); }>(
        "method", "NAME", 30, "Name of the method", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return Trusted{kKinds[r.is_syscall]}; }>("kind", "KIND", 8,
                                                                    "method or syscall", kJsonOnly),
    col<[](const Row& r) { return r.sums.count; }>("calls", "# CALLS", -8,
                                                   "Number of calls that began"),
    col<[](const Row& r) { return r.timed ? Value(r.sums.ended) : Value(); }>(
        "ended", "ENDED", -8, "Number of calls that ended and were timed", kJsonOnly),
    col<[](const Row& r) {
        return r.sums.ended ? Value(Fixed{r.sums.total_ns, 3}) : Value();
    }>("total_us", "TIME (us)", -14, "Total time of the calls that ended, in microseconds",
       with("latency")),
    col<[](const Row& r) {
        return r.sums.ended ? Value(Fixed{r.sums.total_ns, 6}) : Value();
    }>("total_ms", "TIME (ms)", -14, "The same in milliseconds", costly("milliseconds")),
    col<[](const Row& r) {
        return r.sums.ended ? Value(r.sums.total_ns / r.sums.ended) : Value();
    }>("avg_ns", "AVG (ns)", -12, "Average time of a call", kJsonOnly),
};

constexpr Column kFields[] = {task_field::pid, task_field::tid, task_field::comm, task_field::cpu};

constexpr Need kNeeds[] = {
    // First, so that it is the first to be detached: what was seen to begin is seen to end.
    {.what = "system calls as they return",
     .rungs = {rung<&P::btf_exit>("tp_btf"), rung<&P::raw_exit>("raw_tp")},
     .option = "syscalls"},
    {.what = "system calls as they begin",
     .rungs = {rung<&P::btf_enter>("tp_btf"), rung<&P::raw_enter>("raw_tp")},
     .option = "syscalls"},
    {.what = "calls", .rungs = runtime_rungs<&P::enter, RuntimeEvent::call, Options>()},
    {.what = "all calls of python",
     .rungs = runtime_rungs<&P::nothing, RuntimeEvent::exactness, Options>()},
    {.what = "ends of calls",
     .rungs = runtime_rungs<&P::leave, RuntimeEvent::call_end, Options>(),
     .option = "latency"},
};

// Of the needs in their order.
std::span<const Need> choose_needs(const Options& o)
{
    const std::size_t first = o.syscalls ? (o.timed ? 0 : 1) : 2;
    const std::size_t end = o.runtimes.empty() ? 2 : (o.timed ? 5 : 4);
    return std::span(kNeeds).subspan(first, end - first);
}

std::string slot_name(std::uint32_t slot)
{
    return slot >= SYSCALL_SLOT_OTHER
               ? "[other]"
               : syscall_name(syscall_abi(slot / SYSCALLS_PER_ABI), slot % SYSCALLS_PER_ABI);
}

void take(ucalls_bpf& s, Options& o, __u32 generation, std::vector<Row>& rows)
{
    Entries entries(s.maps.cb_top, generation);
    for (std::size_t i = 0; i < entries.size(); i++) {
        const auto& key = entries.key<ucalls_key>(i);
        Row row{.is_syscall = key.syscall != 0,
                .timed = o.timed,
                .sums = entries.value<ucalls_sums>(i)};
        row.name = row.is_syscall ? slot_name(key.syscall - 1) : name_of(key.name);
        row.klass = class_of(key.name);
        row.method = method_of(key.name);
        rows.push_back(std::move(row));
    }
}

void prepare(Options& o, Session& session)
{
    if (o.pid)
        session.pids.push_back(o.pid);
    if (o.milliseconds && !o.timed)
        fail_usage("--milliseconds needs --latency");
    // As BCC, milliseconds in place of microseconds.
    if (o.milliseconds && session.columns.empty() && session.format == Format::text)
        session.columns = "name,calls,total_ms";
    const std::string_view language = o.language.name(kLanguages);
    if (o.syscalls && !is_filtered(session))
        fail_usage("missing PID for --syscalls; for example: ucalls -S 181");
    if (language == "none") {
        if (!o.syscalls)
            fail_usage("--language none needs --syscalls");
        return;
    }
    constexpr RuntimeEvent kEvents[] = {RuntimeEvent::call, RuntimeEvent::call_end};
    o.runtimes = {&choose_runtime(session, language, std::span(kEvents).first(o.timed ? 2 : 1))};
}

constexpr Table<ucalls_bpf, Options, Row> kTool{
    .about = {.name = "ucalls",
              .area = "user",
              .summary = "Count calls of methods of high-level languages",
              .details = "Counts the calls of methods, subs or procedures of Java, Perl, PHP, "
                         "Python, Ruby and Tcl by class and name, and measures their time.",
              .examples = kExamples,
              .aliases = kAliases,
              .smoke = {"-l", "perl"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = prepare,
    .chosen = choose_needs,
    .setup =
        [](ucalls_bpf& s, Options& o, const Session&) {
            if (!o.runtimes.empty())
                s.rodata->cb_names = name_arguments(*o.runtimes[0], RuntimeEvent::call);
        },
    .take = take,
    .weight = [](const Row& r, const Options& o) -> std::uint64_t {
        return o.timed ? r.sums.total_ns : r.sums.count;
    },
    .events = [](const Row& r) -> std::uint64_t { return r.sums.count; },
    .limit = [](const Options& o) -> std::size_t { return o.top; },
    .also = Shared::interval | Shared::user_symbols,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
