// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "wakeuptime.h"
#include "output/task_fields.hpp"
#include "symbols/stack.hpp"
#include "wakers.hpp"
#include "wakeuptime.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(wakeuptime_bpf::progs);

struct Options : OffOptions {
    bool user_stacks = false;
};

constexpr Example kExamples[] = {
    {"wakeuptime 10", "Show which threads wake which for ten seconds"},
    {"wakeuptime -p 181 -m 1000", "Show what wakes process 181 after sleeps of at least 1 ms"},
    {"wakeuptime --user-stacks --flame out.svg -- make",
     "Draw a flame graph that includes the user stacks of wakers"},
};

constexpr Option kOptions[] = {
    off_option::user_threads,
    off_option::kernel_threads,
    off_option::min,
    off_option::max,
    off_option::state,
    flag<&Options::user_stacks>(0, "user-stacks", "Include the user stacks of wakers"),
    stack_option::threads,
    stack_option::folded,
    stack_option::delimited,
    stack_option::annotations,
    stack_option::offset,
    off_option::address,
    stack_option::flame,
    stack_option::storage,
    stack_option::hash_storage,
    stack_option::depth,
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}};

constexpr Column kColumns[] = {
    wake_column::target,
    wake_column::target_pid,
    wake_column::target_tid,
    wake_column::waker,
    wake_column::waker_pid,
    wake_column::waker_tid,
    wake_column::state,
    wake_column::count,
    wake_column::total,
    col<[](const StackRow& r) { return StackRow::names(*r.partner.kernel); }>(
        "kernel", "KERNEL", 0, "Kernel functions of the waker, leaf first"),
    col<[](const StackRow& r) { return StackRow::names(*r.partner.user); }>(
        "user", "USER", 0, "User functions of the waker, leaf first", costly("user-stacks")),
    col<[](const StackRow& r) { return StackRow::details(*r.partner.kernel); }>(
        "kernel_address", "KERNEL-ADDRESS", 0, "The same functions with addresses",
        costly("address")),
};

constexpr Column kFields[] = {
    task_field::microseconds("blocked_us", "Time that the thread was blocked, in microseconds"),
    task_field::nanoseconds("blocked_ns", "The same in nanoseconds"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Need kNeeds[] = {
    {"threads that go to sleep and are woken",
     {rung<&Progs::switch_tp_btf, &Progs::waking_tp_btf>("tp_btf"),
      rung<&Progs::switch_raw_tp, &Progs::waking_raw_tp>("raw_tp")}},
};

// BCC's text has names only; processes of one name are told apart with --per-thread, and in rows.
bool read(const void* key, StackWords& words, StackRow& row, const StackOptions& options,
          bool as_rows)
{
    const bool complete = read_wake_key(key, words, row, options, as_rows);
    if (!as_rows && !options.threads)
        row.pid = row.partner.pid = 0;
    return complete;
}

void block(std::string& out, const StackRow& row, const StackOptions& o, const StackUnit& unit)
{
    append_waking_task(out, "target:", row.comm, row.pid, row.tid, true, o);
    append_frames(out, *row.partner.kernel, kMissedKernel, false, o.annotations ? "_[k]" : "");
    if (o.delimited && !row.partner.kernel->names.empty() && !row.partner.user->names.empty())
        out += "    --\n";
    append_frames(out, *row.partner.user, kMissedUser);
    append_waking_task(out, "waker:", row.partner.comm, row.partner.pid, row.partner.tid, true, o);
    out += cat("        ", stack_weight(row, unit), "\n\n");
}

std::string_view named(std::string_view comm, std::uint32_t pid, std::uint32_t tid,
                       const StackOptions& o, std::deque<std::string>& names)
{
    return o.threads && tid ? names.emplace_back(cat(comm, "-", pid, "/", tid)) : comm;
}

// Outermost first: waker, its stack, target.
void flame(std::vector<StackFrame>& frames, const StackRow& row, const StackOptions& o,
           std::deque<std::string>& names)
{
    frames.push_back(
        {named(row.partner.comm, row.partner.pid, row.partner.tid, o, names), FrameKind::process});
    append_stack(frames, *row.partner.user, kMissedUser, true);
    if (o.delimited && !row.partner.kernel->names.empty() && !row.partner.user->names.empty())
        frames.push_back({"-", FrameKind::marker});
    append_stack(frames, *row.partner.kernel, kMissedKernel, true);
    frames.push_back({named(row.comm, row.pid, row.tid, o, names), FrameKind::process});
}

void folded(std::string& out, const StackRow& row, const StackOptions& o, const StackUnit& unit)
{
    append_folded_flame(out, row, o, unit, flame);
}

constexpr Stacks<wakeuptime_bpf, Options> kTool{
    .about = {.name = "wakeuptime",
              .area = "sched",
              .summary = "Show how long threads sleep until they are woken, by the waker's stack",
              .details = "Measures the time from when a thread goes to sleep until it is woken, "
                         "without the wait for a CPU that follows. Sums it by sleeper, waker and "
                         "the waker's stack, and prints the sums at the end, the largest last.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit = {.name = "microseconds",
             .total = true,
             .divisor = 1000,
             .read = read,
             .block = block,
             .folded = folded,
             .flame = flame},
    .prepare =
        [](Options& o, Session&) {
            o.kernel_only = !o.user_stacks;
            check_off_options(o);
        },
    .setup = [](wakeuptime_bpf& s, Options& o,
                const Session&) { prepare_off(o, s.rodata->off_cfg, s.maps.off_tasks); },
    .banner =
        [](const Options& o, const Session& session) {
            return off_banner("blocked", o.user_stacks ? "user + kernel stack" : "kernel stack", o,
                              session);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
