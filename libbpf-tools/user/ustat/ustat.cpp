// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ustat.h"
#include "../runtime.hpp"
#include "output/task_fields.hpp"
#include "shape/top.hpp"
#include "symbols/process.hpp"
#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "ustat.skel.h"

namespace
{
using namespace corebox;
using P = decltype(ustat_bpf::progs);

constexpr std::string_view kLanguages = "java|node|perl|php|python|ruby|tcl";

// What a process is and can show, found when it was first seen.
struct Process {
    std::string language{};
    std::vector<char> command{};           // not a string: others point into it when it is moved
    std::vector<std::string_view> words{}; // of it
    std::array<bool, USTAT_COUNTS> shows{};
};

struct Options {
    enum class Sort : std::uint8_t { cload, excp, gc, method, objnew, thread, all };

    RuntimeChoice language;
    Sort sort = Sort::all;
    bool no_calls = false;
    std::vector<const Runtime*> runtimes;
    std::map<std::uint32_t, Process> processes;
    std::uint64_t begun_ns = 0, elapsed_ns = 1;
};

struct Row {
    std::uint64_t time_ns = 0, elapsed_ns = 1;
    std::uint32_t pid = 0;
    std::string_view comm;
    ustat_value value{};
    const Process* process = nullptr;
};

constexpr Alias kAliases[] = {
    {"javastat", {"-l", "java"}, "Show activity of Java programs"},
    {"nodestat", {"-l", "node"}, "Show activity of Node.js programs"},
    {"perlstat", {"-l", "perl"}, "Show activity of Perl programs"},
    {"phpstat", {"-l", "php"}, "Show activity of PHP programs"},
    {"pythonstat", {"-l", "python"}, "Show activity of Python programs"},
    {"rubystat", {"-l", "ruby"}, "Show activity of Ruby programs"},
    {"tclstat", {"-l", "tcl"}, "Show activity of Tcl programs"},
};

constexpr Example kExamples[] = {
    {"ustat", "Show the most active programs of high-level languages, every second"},
    {"ustat --no-calls -S gc 5", "Every 5 seconds, those that collect garbage most"},
    {"ustat -l ruby -C 10 1", "Print the activity of Ruby programs in 10 seconds"},
};

constexpr Option kOptions[] = {
    choice<&Options::language>('l', "language", kLanguages, "Trace only this language"),
    choice<&Options::sort>('S', "sort", "cload|excp|gc|method|objnew|thread",
                           "Sort by this (default: the sum of all)"),
    flag<&Options::no_calls>(0, "no-calls", "Skip method calls and objects: they cost most"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}, {'d', "debug"}};

template <ustat_count What>
consteval Column rate_column(std::string_view key, std::string_view header, std::string_view help)
{
    return col<[](const Row& r) -> Value {
               if (!r.value.counts[What] && !(r.process && r.process->shows[What]))
                   return Absent{};
               return Fixed{
                   std::uint64_t(double(r.value.counts[What]) * 1e10 / double(r.elapsed_ns) + 0.5),
                   1};
           }>(key, header, -10, help)
        .as(ColumnType::decimal);
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<&Row::pid>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) -> Value { return r.comm; }>("comm", "COMM", 16, "Command name", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        if (!r.process || r.process->language.empty())
            return Absent{};
        return std::string_view(r.process->language);
    }>("language", "LANGUAGE", 8, "Language of the runtime", kJsonOnly)
        .as(ColumnType::text),
    rate_column<USTAT_METHOD>("methods_per_s", "METHOD/s", "Calls of methods per second"),
    rate_column<USTAT_GC>("gcs_per_s", "GC/s", "Garbage collections per second"),
    rate_column<USTAT_OBJECT>("objects_per_s", "OBJNEW/s", "New objects per second"),
    rate_column<USTAT_CLASS>("classes_per_s", "CLOAD/s", "Loads of classes or files per second"),
    rate_column<USTAT_EXCEPTION>("exceptions_per_s", "EXC/s", "Exceptions per second"),
    rate_column<USTAT_THREAD>("threads_per_s", "THR/s", "Started threads per second"),
    col<[](const Row& r) {
        return std::accumulate(r.value.counts, r.value.counts + USTAT_COUNTS, std::uint64_t(0));
    }>("events", "EVENTS", -10, "All of these, as a number", kJsonOnly),
    // BCC's second column. At the end it has room, and its blanks are no ends of columns.
    col<[](const Row& r) -> Value {
        if (r.process)
            return List{r.process->words.data(), r.process->words.size(), List::Join::blank};
        return List{&r.comm, 1, List::Join::blank};
    }>("cmdline", "CMDLINE", 0, "Command line; the command name if the process has ended")
        .as(ColumnType::list),
};

constexpr Column kFields[] = {task_field::pid, task_field::tid, task_field::comm, task_field::cpu};

constexpr std::array<RuntimeEvent, USTAT_COUNTS> kEvents = {
    RuntimeEvent::call,       RuntimeEvent::gc,        RuntimeEvent::object,
    RuntimeEvent::class_load, RuntimeEvent::exception, RuntimeEvent::thread_start};

constexpr Need kNeeds[] = {
    {.what = "garbage collections",
     .rungs = runtime_rungs<&P::gc, RuntimeEvent::gc, Options>(),
     .optional = true,
     .without = "GC/s"},
    {.what = "loads of classes",
     .rungs = runtime_rungs<&P::class_load, RuntimeEvent::class_load, Options>(),
     .optional = true,
     .without = "CLOAD/s"},
    {.what = "exceptions",
     .rungs = runtime_rungs<&P::exception, RuntimeEvent::exception, Options>(),
     .optional = true,
     .without = "EXC/s"},
    {.what = "threads",
     .rungs = runtime_rungs<&P::thread, RuntimeEvent::thread_start, Options>(),
     .optional = true,
     .without = "THR/s"},
    {.what = "all calls of python",
     .rungs = runtime_rungs<&P::nothing, RuntimeEvent::exactness, Options>(),
     .option = "!no-calls",
     .optional = true,
     .without = "METHOD/s of python"},
    {.what = "calls",
     .rungs = runtime_rungs<&P::method, RuntimeEvent::call, Options>(),
     .option = "!no-calls",
     .optional = true,
     .without = "METHOD/s"},
    {.what = "new objects",
     .rungs = runtime_rungs<&P::object, RuntimeEvent::object, Options>(),
     .option = "!no-calls",
     .optional = true,
     .without = "OBJNEW/s"},
    {.what = "new objects of built-in types",
     .rungs = runtime_rungs<&P::plain_object, RuntimeEvent::plain_object, Options>(),
     .option = "!no-calls",
     .optional = true,
     .without = "OBJNEW/s of built-in types"},
};

bool is_counted(const Options& o, std::size_t what)
{
    return !o.no_calls || (what != USTAT_METHOD && what != USTAT_OBJECT);
}

Process look_at(const Options& o, std::uint32_t pid, std::string_view comm)
{
    Process process;
    std::string command = read_file(proc_path(pid, "cmdline")).value_or("");
    if (command.empty())
        command = comm;
    if (command.ends_with('\0'))
        command.pop_back();
    process.command.assign(command.begin(), command.end());
    process.words = split({process.command.data(), process.command.size()}, '\0');
    for (const Runtime* runtime : detect_runtimes(pid)) {
        process.language += cat(process.language.empty() ? "" : ",", runtime->name);
        for (std::size_t i = 0; i < USTAT_COUNTS; i++)
            process.shows[i] |= is_counted(o, i) && can_show(*runtime, kEvents[i], pid);
    }
    return process;
}

void prepare(Options& o, Session& session)
{
    const std::string_view language = o.language.name(kLanguages);
    if (!language.empty())
        o.runtimes = {&choose_runtime(session, language, {})};
    else
        for (const Runtime& runtime : all_runtimes())
            o.runtimes.push_back(&runtime);
    // They may have ended as the first interval does.
    for (const std::uint32_t pid : session.pids)
        o.processes.emplace(pid, look_at(o, pid, ""));
}

// Makes the table of processes that of the interval.
void look_at_processes(Options& o, Entries& entries)
{
    std::map<std::uint32_t, Process> now;
    for (std::size_t i = 0; i < entries.size(); i++) {
        const std::uint32_t pid = entries.key<ustat_key>(i).pid;
        const auto known = o.processes.find(pid);
        now[pid] = known != o.processes.end()
                       ? std::move(known->second)
                       : look_at(o, pid, c_str(entries.value<ustat_value>(i).comm));
    }
    o.processes = std::move(now);
}

constexpr Top<ustat_bpf, Options, Row> kTool{
    .about = {.name = "ustat",
              .area = "user",
              .summary = "Show the activity of programs of high-level languages",
              .details =
                  "Shows processes of Java, Node.js, Perl, PHP, Python, Ruby and Tcl. Prints "
                  "one line for each that did something in the interval, with the rates of "
                  "calls, collections, objects, classes, exceptions and threads.",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = prepare,
    .collect =
        [](ustat_bpf&, Options& o) {
            const std::uint64_t now_ns = monotonic_ns();
            o.elapsed_ns = std::max<std::uint64_t>(now_ns - o.begun_ns, 1);
            o.begun_ns = now_ns;
        },
    .settle = look_at_processes,
    .decode =
        [](Row& row, const Entries& entries, std::size_t entry) {
            row.pid = entries.key<ustat_key>(entry).pid;
            entries.values<ustat_value>(entry, [&](const ustat_value& v) { row.value = v; });
            row.comm = c_str(row.value.comm);
        },
    .name =
        [](Row& row, const Options& o) {
            const auto process = o.processes.find(row.pid);
            row.process = process == o.processes.end() ? nullptr : &process->second;
            row.elapsed_ns = o.elapsed_ns;
        },
    .weight = [](const Row& r, const Options& o) -> std::uint64_t {
        constexpr ustat_count kOf[] = {USTAT_CLASS,  USTAT_EXCEPTION, USTAT_GC,
                                       USTAT_METHOD, USTAT_OBJECT,    USTAT_THREAD};
        if (o.sort != Options::Sort::all)
            return r.value.counts[kOf[std::size_t(o.sort)]];
        return std::accumulate(r.value.counts, r.value.counts + USTAT_COUNTS, std::uint64_t(0));
    },
    .events = [](const Row& r) -> std::uint64_t {
        return std::accumulate(r.value.counts, r.value.counts + USTAT_COUNTS, std::uint64_t(0));
    },
    .also = Shared::user_symbols,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
