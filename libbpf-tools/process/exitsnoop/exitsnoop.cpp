// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "exitsnoop.h"
#include "shape/stream.hpp"
#include "signals.hpp"

#include "exitsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(exitsnoop_bpf::progs);

struct Label {
    std::string_view text;

    static std::string parse(std::string_view text, Label& out)
    {
        out.text = text.empty() ? "exit" : text;
        return {};
    }
};

struct Options : exit_config {
    Label label;
};

struct Row : exit_event {
    std::string_view label;
    std::string how; // "code 1", "signal 9 (KILL)"

    // The parts of a wait status, wait(2).
    int signal() const { return int(status & 0x7f); }
    unsigned code() const { return status >> 8 & 0xff; }
    bool core() const { return (status & 0x80) != 0; }
};

constexpr Example kExamples[] = {
    {"exitsnoop -x", "Trace every process that fails or is killed"},
    {"exitsnoop -T -p 181", "Trace the threads of process 181 until it ends"},
    {"exitsnoop -t -- make", "Trace the processes that make runs, with times"},
};

constexpr Option kOptions[] = {
    show('t', "timestamp", "Print the time of day with milliseconds"),
    opt_maybe<&Options::label>(0, "label", "TEXT", "Add a column with TEXT (default: \"exit\")"),
    flag<&Options::failed>('x', "failed", "Trace only failures: a status other than 0"),
    flag<&Options::per_thread>('T', "per-thread", "Print a line for each thread", "threaded"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'c', "cgroup"}};

constexpr Formula kStatus = field<&exit_event::status>;
constexpr Formula kSignal = kStatus & 0x7f;

constexpr Column kColumns[] = {
    col<[](const Row& r) {
        return WallTime{r.task.time_ns, 3};
    }>("time_ns", "TIME-ZONE", 12, "Time when it ended", with("timestamp|utc")),
    col<&Row::label>("label", "LABEL", 8, "Text of --label", costly("label")),
    col<[](const Row& r) -> Value { return r.task.comm; }>(
        "pcomm", "PCOMM", 16, "Command name of the process, or of the thread with -T")
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) { return r.ppid; }>("ppid", "PPID", 7, "Process ID of the parent")
        .from<field<&exit_event::ppid>>(),
    col<[](const Row& r) { return r.task.tid; }>("tid", "TID", 7,
                                                 "Thread ID; for a process, of its last thread")
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) {
        return Fixed{r.age_ns / 10'000'000, 2};
    }>("age_s", "AGE(s)", -8, "Age in seconds")
        .from<fixed(field<&exit_event::age_ns> / 10'000'000, 2)>(),
    col<[](const Row& r) { return r.age_ns; }>("age_ns", "AGE(ns)", -14, "The same in nanoseconds",
                                               kJsonOnly)
        .from<field<&exit_event::age_ns>>(),
    col<[](const Row& r) { return r.task.uid; }>("uid", "UID", 6, "User ID", kJsonOnly)
        .from<field<&task_info::uid>>(),
    col<[](const Row& r) { return r.last != 0; }>("process_end", "LAST", 5,
                                                  "Whether the process ends", kJsonOnly)
        .from<field<&exit_event::last> != 0>(),
    col<[](const Row& r) -> Value { return r.signal() ? Value() : Value(r.code()); }>(
        "code", "CODE", 4, "Argument of exit(2); null if a signal ended it", kJsonOnly)
        .from<present(!kSignal, kStatus >> 8 & 0xff)>(),
    col<[](const Row& r) -> Value { return r.signal() ? Value(r.signal()) : Value(); }>(
        "signal", "SIG", 4, "Number of the signal that ended it, or null", kJsonOnly)
        .from<present(kSignal, kSignal)>(),
    col<[](const Row& r) -> Value {
        return r.signal() ? Value(Trusted{signal_name(r.signal())}) : Value();
    }>("signal_name", "SIGNAL", 8, "Name of the signal without SIG", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return r.core(); }>("core_dumped", "CORE", 5, "Whether it dumped core",
                                               kJsonOnly)
        .from<(kStatus & 0x80) != 0>(),
    col<[](const Row& r) -> Value { return Trusted{r.how}; }>(
        "exit_code", "EXIT_CODE", 0, "0, or the exit code, or the signal that killed it")
        .as(ColumnType::text),
};

constexpr Need kNeeds[] = {
    {.what = "ends of threads",
     .rungs = {rung<&P::exit_tp_btf>("tp_btf"), rung<&P::exit_raw_tp>("raw_tp")}},
};

bool decode(Row& row, const Options& o, const void* record, std::size_t)
{
    static_cast<exit_event&>(row) = *static_cast<const exit_event*>(record);
    row.label = o.label.text;
    if (row.signal())
        row.how = cat("signal ", row.signal(), " (", signal_name(row.signal()), ")");
    else
        row.how = row.code() ? cat("code ", row.code()) : "0";
    if (row.core())
        row.how += ", core dumped";
    return true;
}

constexpr Stream<exitsnoop_bpf, Options, Row> kTool{
    .about = {.name = "exitsnoop",
              .area = "process",
              .summary = "Trace processes that end, with age and cause",
              .details = "Prints one line for each process when its last thread ends: how long it "
                         "lived, and its exit code or the signal that killed it.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
