// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sigsnoop.h"
#include "shape/stream.hpp"
#include "signals.hpp"

#include "sigsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(sigsnoop_bpf::progs);

// Signals by name or number.
struct Signal {
    int number = 0;

    static std::string parse(std::string_view text, Signal& out)
    {
        const auto number = signal_number(text);
        out.number = number.value_or(0);
        return number ? "" : "a signal's name (TERM, SIGTERM, RTMIN+3) or its number (0 to 64)";
    }
};

struct Options : sig_config {
    std::vector<Signal> list;
};

struct Row : sig_event {
    std::string_view name, code_name;
    bool is_call() const { return call != CALL_NONE; }
};

constexpr Example kExamples[] = {
    {"sigsnoop -n", "Trace all signals, with names"},
    {"sigsnoop -s KILL,TERM -T 181", "Trace which process terminates process 181"},
    {"killsnoop -x", "Trace failed calls of kill(2) and similar"},
};

constexpr Alias kAliases[] = {
    {"killsnoop", {"-k"}, "Trace the system calls that send signals"},
};

constexpr Option kOptions[] = {
    show('k', "kill", "Trace the system calls that send signals"),
    flag<&Options::failed>('x', "failed", "Trace only failures; with -k, failed calls"),
    opt<&Options::target>('T', "tpid", "PID", "Trace only signals to this process or thread", {},
                          {}, "pid"),
    opt<&Options::list>('s', "signal", "SIGNAL,...", "Trace only these signals, by name or number"),
    show('n', "name", "Print names instead of numbers"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::string_view kOutcomes[] = {"delivered", "ignored", "pending", "overflow",
                                          "lost-info"};
constexpr std::string_view kCalls[] = {
    "", "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"};

// A number that only some rows have.
constexpr Value number_if(bool known, std::int64_t n) { return known ? Value(n) : Value(); }

constexpr Formula kCall = field<&sig_event::call>;
constexpr Formula kIsCall = kCall != CALL_NONE;
constexpr Formula kResult = field<&sig_event::result>;
constexpr Formula kTarget = field<&sig_event::target>;
constexpr Formula kTargetPid = field<&sig_event::target_pid>;
constexpr Formula kTargetTid = field<&sig_event::target_tid>;

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>("time_ns", "TIME", 8,
                                                               "Time of the event"),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID of the sender")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) { return r.task.tid; }>("tid", "TID", 7, "Thread ID of the sender",
                                                 kJsonOnly)
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) { return r.task.uid; }>("uid", "UID", 6, "User ID of the sender",
                                                 kJsonOnly)
        .from<field<&task_info::uid>>(),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16,
                                                           "Command name of the sender")
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) { return r.sig; }>("sig", "SIG", 5, "Number of the signal",
                                            without("name"))
        .from<field<&sig_event::sig>>(),
    col<[](const Row& r) -> Value { return r.name.empty() ? Value() : Value(Trusted{r.name}); }>(
        "signal", "SIGNAL", 11, "Name of the signal", with("name"))
        .as(ColumnType::text),
    col<[](const Row& r) {
        return number_if(!r.is_call() || r.call != CALL_PIDFD_SEND_SIGNAL || r.target, r.target);
    }>("tpid", "TPID", 7,
       "Target process, or thread if sent to a thread; with -k the argument of the call")
        .from<present(kCall != CALL_PIDFD_SEND_SIGNAL || kTarget, kTarget)>(),
    // BCC's killsnoop has no TCOMM, and libbpf-tools' sigsnoop has it before RESULT.
    col<[](const Row& r) { return number_if(r.is_call(), r.result); }>(
        "ret", "RESULT", 7, "Return value of the call: 0 or the negative errno", with("kill"))
        .from<present(kIsCall, kResult)>(),
    col<[](const Row& r) -> Value { return r.comm[0] ? Value(r.comm) : Value(Absent{"N/A"}); }>(
        "tcomm", "TCOMM", 16, "Command name of the target, or of the first of several")
        .from<known(element<&sig_event::comm, 0> != 0, field<&sig_event::comm>)>(),
    col<[](const Row& r) -> Value {
        if (r.is_call() || std::size_t(r.result) >= std::size(kOutcomes))
            return {};
        return Trusted{kOutcomes[r.result]};
    }>("outcome", "RESULT", 9, "Outcome: delivered, ignored, pending, overflow or lost-info",
       without("kill"))
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.is_call() ? Value(Errno{r.result < 0 ? -r.result : 0}) : Value();
    }>("error", "ERROR", 8, "Name of the errno", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.is_call() ? Value(Trusted{kCalls[r.call]}) : Value();
    }>("call", "CALL", 0, "System call", with("kill"))
        .as(ColumnType::text),
    col<[](const Row& r) { return number_if(r.is_call(), r.targets); }>(
        "targets", "TARGETS", 7, "Number of tasks that the call sent the signal to", kJsonOnly)
        .from<present(kIsCall, field<&sig_event::targets>)>(),
    col<[](const Row& r) { return number_if(r.target_pid, r.target_pid); }>(
        "target_pid", "TARGET", 7, "Process ID of the target, or of the first of several",
        kJsonOnly)
        .from<present(kTargetPid, kTargetPid)>(),
    col<[](const Row& r) { return number_if(r.target_tid, r.target_tid); }>(
        "target_tid", "TARGET_TID", 7, "Thread ID of the task that the kernel chose", kJsonOnly)
        .from<present(kTargetTid, kTargetTid)>(),
    col<[](const Row& r) { return r.group != 0; }>(
        "group", "GROUP", 5, "Whether the signal is sent to a process, not to one thread",
        kJsonOnly)
        .from<field<&sig_event::group> != 0>(),
    col<[](const Row& r) { return number_if(!r.is_call(), r.code); }>(
        "si_code", "SI_CODE", 7, "si_code as a number", kJsonOnly)
        .from<present(!kIsCall, field<&sig_event::code>)>(),
    col<[](const Row& r) -> Value {
        if (r.is_call())
            return {};
        return r.code_name.empty() ? Value(r.code) : Value(Trusted{r.code_name});
    }>("code", "CODE", 0, "Origin of the signal: si_code of sigaction(2)", without("kill"))
        .as(ColumnType::text),
};

constexpr std::string_view kForeign = "calls of 32-bit programs";

template <auto Fexit, auto Enter, auto Leave>
constexpr Need call(std::string_view what)
{
    return {.what = what,
            .rungs = {rung<Fexit>("fexit", kForeign), rung<Enter, Leave>("tracepoint", kForeign)},
            .option = "kill"};
}

constexpr Need kNeeds[] = {
    {.what = "signals",
     .rungs = {rung<&P::generate_tp_btf>("tp_btf"), rung<&P::generate_raw_tp>("raw_tp")},
     .option = "!kill"},
    {.what = "targets of calls",
     .rungs = {rung<&P::reach_tp_btf>("tp_btf"), rung<&P::reach_raw_tp>("raw_tp")},
     .option = "kill"},
    call<&P::kill_fexit, &P::kill_enter, &P::kill_leave>("kill"),
    call<&P::tkill_fexit, &P::tkill_enter, &P::tkill_leave>("tkill"),
    call<&P::tgkill_fexit, &P::tgkill_enter, &P::tgkill_leave>("tgkill"),
    call<&P::queue_fexit, &P::queue_enter, &P::queue_leave>("rt_sigqueueinfo"),
    call<&P::tgqueue_fexit, &P::tgqueue_enter, &P::tgqueue_leave>("rt_tgsigqueueinfo"),
    call<&P::pidfd_fexit, &P::pidfd_enter, &P::pidfd_leave>("pidfd_send_signal"),
};

void setup(sigsnoop_bpf&, Options& o, const Session&)
{
    for (const Signal& signal : o.list) {
        o.by_signal = true;
        if (signal.number)
            o.signals |= 1ull << (signal.number - 1);
        else
            o.zero = true;
    }
}

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    static_cast<sig_event&>(row) = *static_cast<const sig_event*>(record);
    row.name = signal_full_name(row.sig);
    row.code_name = signal_code_name(row.sig, row.code);
    return true;
}

constexpr Stream<sigsnoop_bpf, Options, Row> kTool{
    .about = {.name = "sigsnoop",
              .area = "process",
              .summary = "Trace signals: sender, target and outcome",
              .details =
                  "Prints one line for each signal that a process or the kernel generates. With "
                  "-k, prints one line for each call that sends a signal: kill(2), tkill(2), "
                  "tgkill(2), rt_sigqueueinfo(2), rt_tgsigqueueinfo(2) and pidfd_send_signal(2).",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
