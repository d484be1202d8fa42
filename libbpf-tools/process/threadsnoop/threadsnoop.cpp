// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "threadsnoop.h"
#include "../thread_start.hpp"
#include "shape/stream.hpp"
#include <algorithm>

#include "threadsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(threadsnoop_bpf::progs);

struct Options : thread_config {
    std::vector<std::string_view> libraries;
};

struct Row : thread_event {
    std::uint64_t first_ns = 0;
    std::string_view function;
    ThreadFunctions functions;
};

constexpr Example kExamples[] = {
    {"threadsnoop", "Trace new threads and the functions that they run"},
    {"threadsnoop --fork", "Include new processes"},
    {"threadsnoop --lib /opt/app/lib/libc.so.6", "Use the pthread_create() of this C library"},
};

constexpr Option kOptions[] = {
    flag<&Options::processes>(0, "fork", "Include new processes"),
    opt<&Options::libraries>(0, "lib", "PATH,...", "Attach to pthread_create() in these files", {},
                             {}, "file"),
    show('t', "timestamp", "Print the time of day"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::string_view kKinds[] = {"thread", "io-worker", "process", "vfork", "kernel"};

constexpr Formula kStart = field<&thread_event::start>;

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>("time_ns", "TIME", 8, "Time of day",
                                                               with("timestamp")),
    col<[](const Row& r) {
        return Fixed{(r.task.time_ns - std::min<std::uint64_t>(r.first_ns, r.task.time_ns)) / 1000,
                     3};
    }>("since_ms", "TIME(ms)", 10, "Milliseconds since the first event"),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID of the creator")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) { return r.task.tid; }>("parent_tid", "PTID", 7,
                                                 "Thread ID of the creator", kJsonOnly)
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) { return r.task.uid; }>("uid", "UID", 6, "User ID", kJsonOnly)
        .from<field<&task_info::uid>>(),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16,
                                                           "Command name of the creator")
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) -> Value { return r.start ? Value(r.function) : Value(); }>(
        "function", "FUNC", 24, "Function that the new thread runs")
        .as(ColumnType::text),
    col<[](const Row& r) { return r.child_tid; }>(
        "tid", "TID", 7, "Thread ID of the new thread, or ID of the new process")
        .from<field<&thread_event::child_tid>>(),
    col<[](const Row& r) { return r.child_pid; }>("child_pid", "CHILD", 7,
                                                  "Process ID of the new thread", kJsonOnly)
        .from<field<&thread_event::child_pid>>(),
    col<[](const Row& r) { return Trusted{kKinds[r.kind]}; }>(
        "kind", "KIND", 9, "thread, io-worker (of io_uring), process, vfork or kernel",
        with("fork"))
        .from_names<field<&thread_event::kind>, kKinds>(),
    col<[](const Row& r) { return Hex{r.clone_flags}; }>("clone_flags", "FLAGS", 10,
                                                         "Flags of clone(2)", kJsonOnly)
        .from<field<&thread_event::clone_flags>>(),
    col<[](const Row& r) -> Value { return r.start ? Value(Hex{r.start}) : Value(); }>(
        "start", "START", 14, "Address of the function that the new thread runs", kJsonOnly)
        .from<present(kStart, kStart)>(),
};

constexpr Need kNeeds[] = {
    {.what = "new threads and processes",
     .rungs = {rung<&P::new_tp_btf>("tp_btf"), rung<&P::new_raw_tp>("raw_tp")}},
    {.what = "functions that threads start with",
     .rungs = user_rungs<&P::pthread_create, kPthreadCreate, Options>(kPthreadCreateBlind),
     .optional = true,
     .without = "FUNC"},
};

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    static_cast<thread_event&>(row) = *static_cast<const thread_event*>(record);
    if (!row.first_ns)
        row.first_ns = row.task.time_ns;
    if (row.start)
        row.function = row.functions.name({row.task.pid, row.image}, row.start);
    return true;
}

constexpr Stream<threadsnoop_bpf, Options, Row> kTool{
    .about = {.name = "threadsnoop",
              .area = "process",
              .summary = "Trace new threads",
              .details = "Prints one line for each new thread, created with or without a C "
                         "library. FUNC is the start function that pthread_create(3) received.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
    .also = Shared::user_symbols,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
