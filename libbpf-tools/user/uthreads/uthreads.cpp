// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "uthreads.h"
#include "../../process/thread_start.hpp"
#include "../runtime.hpp"
#include "shape/stream.hpp"
#include <algorithm>
#include <cstring>

#include "uthreads.skel.h"

namespace
{
using namespace corebox;
using P = decltype(uthreads_bpf::progs);

constexpr std::string_view kLanguages = "c|java|none|node|perl|php|python|ruby|tcl";

struct Options {
    RuntimeChoice language;
    std::uint32_t pid = 0;
    std::vector<const Runtime*> runtimes; // none: threads of the C library
};

struct Row : uthreads_event {
    std::string id_text, description;
    ThreadFunctions functions;
};

constexpr Alias kAliases[] = {
    {"javathreads", {"-l", "java"}, "Trace the start and end of Java threads"},
    {"cthreads", {"-l", "c"}, "Trace new threads of C libraries"},
};

constexpr Example kExamples[] = {
    {"uthreads 181", "Trace the threads of a JVM"},
    {"uthreads -l java", "Trace the threads of all JVMs"},
    {"uthreads -l c -- ./server", "Trace which functions the threads of a command run"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pid>(0, "process", "PID", "Trace this process", {1, 1 << 22}),
};

constexpr Option kOptions[] = {
    choice<&Options::language>('l', "language", kLanguages,
                               "Trace threads of this (default: of PID)"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'v', "debug"}};

constexpr std::string_view kKinds[] = {"pthread", "start", "stop"};

constexpr Column kColumns[] = {
    col<[](const Row& r) {
        return SinceFirst{r.task.time_ns, 3};
    }>("since_s", "TIME(s)", 8, "Seconds since the first event"),
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>("time_ns", "TIME", 8, "Time of day",
                                                               kJsonOnly),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) -> Value { return r.task.comm; }>(
        "comm", "COMM", 16, "Name of the thread; of a pthread, of its creator", kJsonOnly)
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) { return std::string_view(r.id_text); }>(
        "id", "ID", 16, "Thread ID; R= of the runtime, N= of the kernel", kTextOnly),
    col<[](const Row& r) { return r.id; }>("tid", "TID", 7, "Thread ID of the thread", kJsonOnly)
        .from<field<&uthreads_event::id>>(),
    col<[](const Row& r) { return r.kind == UTHREAD_PTHREAD ? Value() : Value(r.vm_id); }>(
        "vm_id", "VMID", 7, "The runtime's number of the thread", kJsonOnly)
        .as(ColumnType::natural),
    col<[](const Row& r) { return Trusted{kKinds[r.kind % std::size(kKinds)]}; }>(
        "type", "TYPE", 8, "pthread (created), start or stop (of the runtime)")
        .from_names<field<&uthreads_event::kind>, kKinds>(),
    col<[](const Row& r) { return std::string_view(r.description); }>(
        "description", "DESCRIPTION", 0, "Name of the thread; of a pthread, the function it runs"),
    col<[](const Row& r) { return r.start ? Value(Hex{r.start}) : Value(); }>(
        "start", "START", 14, "Address of that function", kJsonOnly)
        .as(ColumnType::natural),
};

constexpr Need kNeeds[] = {
    {.what = "new threads",
     .rungs = {rung<&P::new_tp_btf>("tp_btf"), rung<&P::new_raw_tp>("raw_tp")}},
    {.what = "functions that threads start with",
     .rungs = user_rungs<&P::pthread_create, kPthreadCreate, Options>(kPthreadCreateBlind)},
    {.what = "ends of threads",
     .rungs = runtime_rungs<&P::thread_stop, RuntimeEvent::thread_stop, Options>()},
    {.what = "starts of threads",
     .rungs = runtime_rungs<&P::thread_start, RuntimeEvent::thread_start, Options>()},
};

void prepare(Options& o, Session& session)
{
    if (o.pid)
        session.pids.push_back(o.pid);
    const std::string_view language = o.language.name(kLanguages);
    if (language == "c" || language == "none")
        return;
    constexpr RuntimeEvent kEvents[] = {RuntimeEvent::thread_start, RuntimeEvent::thread_stop};
    o.runtimes = {&choose_runtime(session, language, kEvents)};
}

bool decode(Row& row, const Options&, const void* record, std::size_t size)
{
    uthreads_event& e = row;
    e = {};
    std::memcpy(&e, record, std::min(size, sizeof e));
    if (row.kind == UTHREAD_PTHREAD) {
        row.id_text = cat(row.id);
        row.description = row.functions.name({row.task.pid, row.image}, row.start);
    } else {
        row.id_text = cat("R=", row.vm_id, "/N=", row.id);
        row.description = class_of(row.name);
    }
    return true;
}

constexpr Stream<uthreads_bpf, Options, Row> kTool{
    .about = {.name = "uthreads",
              .area = "user",
              .summary = "Trace the start and end of threads of Java and C programs",
              .details = "Prints one line for each Java thread that starts or stops, with its "
                         "name. With -l c it prints one for each thread that pthread_create(3) "
                         "creates, with the function that the thread runs.",
              .examples = kExamples,
              .aliases = kAliases,
              .smoke = {"-l", "java"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](uthreads_bpf& s, Options& o, const Session&) {
            if (!o.runtimes.empty())
                s.rodata->cb_names = name_arguments(*o.runtimes[0], RuntimeEvent::thread_start);
        },
    .decode = decode,
    .also = Shared::user_symbols,
    .prepare = prepare,
    .chosen = [](const Options& o) -> std::span<const Need> {
        return std::span(kNeeds).subspan(o.runtimes.empty() ? 0 : 2, 2);
    },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
