// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "offwaketime.h"
#include "output/task_fields.hpp"
#include "symbols/stack.hpp"
#include "wakers.hpp"
#include "offwaketime.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(offwaketime_bpf::progs);

struct Options : OffOptions {
};

constexpr Example kExamples[] = {
    {"offwaketime 10", "Trace all waits and their wakers for ten seconds"},
    {"offwaketime -p 181 -m 1000", "Show waits of process 181 of at least 1 ms"},
    {"offwaketime --flame out.svg -- make",
     "Draw waiting stacks below and the stacks of their wakers above"},
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}};

// Null where nobody woke it.
Value waker_stack(const StackRow& row, const Frames& frames)
{
    return row.partner.comm.empty() ? Value(Absent{}) : StackRow::names(frames);
}

constexpr Column kColumns[] = {
    wake_column::target,
    wake_column::target_pid,
    wake_column::target_tid,
    wake_column::state,
    wake_column::waker,
    wake_column::waker_pid,
    wake_column::waker_tid,
    wake_column::count,
    wake_column::total,
    stack_column::user,
    stack_column::kernel,
    stack_column::user_address,
    stack_column::kernel_address,
    col<[](const StackRow& r) { return waker_stack(r, *r.partner.kernel); }>(
        "waker_kernel", "WAKER-KERNEL", 0, "Kernel functions of the waker, leaf first",
        without("user-stacks-only")),
    col<[](const StackRow& r) { return waker_stack(r, *r.partner.user); }>(
        "waker_user", "WAKER-USER", 0, "User functions of the waker, leaf first",
        without("kernel-stacks-only")),
};

constexpr Column kFields[] = {
    task_field::microseconds("off_us", "Time off the CPU in microseconds"),
    task_field::nanoseconds("off_ns", "The same in nanoseconds"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Need kNeeds[] = {
    {"threads that leave a CPU, are woken and get one",
     {rung<&Progs::switch_tp_btf, &Progs::waking_tp_btf>("tp_btf"),
      rung<&Progs::switch_raw_tp, &Progs::waking_raw_tp>("raw_tp")}},
};

bool both(const Frames& one, const Frames& other, const StackOptions& o)
{
    return o.delimited && !one.names.empty() && !other.names.empty();
}

void block(std::string& out, const StackRow& row, const StackOptions& o, const StackUnit& unit)
{
    const std::string_view suffix = o.annotations ? "_[k]" : "";
    const StackPartner& by = row.partner;
    append_waking_task(out, "waker:", by.comm, by.pid, by.tid, true, o);
    append_frames(out, *by.user, kMissedUser, true);
    if (both(*by.user, *by.kernel, o))
        out += "    -\n";
    append_frames(out, *by.kernel, kMissedKernel, true, suffix);
    out += "    --               --\n";
    append_frames(out, *row.kernel, kMissedKernel, false, suffix);
    if (both(*row.kernel, *row.user, o))
        out += "    -\n";
    append_frames(out, *row.user, kMissedUser);
    append_waking_task(out, "target:", row.comm, row.pid, row.tid, true, o);
    out += cat("        ", stack_weight(row, unit), "\n\n");
}

// Outermost first: the target and its stack; on that the waker's, upside down, which began to move
// at its outermost function's end.
void flame(std::vector<StackFrame>& frames, const StackRow& row, const StackOptions& o,
           std::deque<std::string>& names)
{
    const StackPartner& by = row.partner;
    flame_frames(frames, row, o, names);
    if (both(*row.kernel, *row.user, o))
        frames.insert(frames.end() - std::ptrdiff_t(row.kernel->names.size()),
                      {"-", FrameKind::marker});
    frames.push_back({"--", FrameKind::marker});
    append_stack(frames, *by.kernel, kMissedKernel, false);
    if (both(*by.kernel, *by.user, o))
        frames.push_back({"-", FrameKind::marker});
    append_stack(frames, *by.user, kMissedUser, false);
    if (by.comm.empty())
        frames.push_back({"-", FrameKind::process});
    else
        frames.push_back({o.threads && by.tid
                              ? names.emplace_back(cat(by.comm, "-", by.pid, "/", by.tid))
                              : by.comm,
                          FrameKind::process});
}

void folded(std::string& out, const StackRow& row, const StackOptions& o, const StackUnit& unit)
{
    append_folded_flame(out, row, o, unit, flame);
}

constexpr Stacks<offwaketime_bpf, Options> kTool{
    .about =
        {.name = "offwaketime",
         .area = "sched",
         .summary = "Show the time that threads spend off the CPU, with the stacks of their wakers",
         .details =
             "Measures off-CPU time like offcputime, and adds to each waiting stack the task that "
             "ended the wait, with its stack. Prints the sums at the end, the largest last.",
         .examples = kExamples},
    .options = kOffStackOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit = {.name = "microseconds",
             .total = true,
             .divisor = 1000,
             .read = read_wake_key,
             .block = block,
             .folded = folded,
             .flame = flame},
    .prepare = [](Options& o, Session&) { check_off_options(o); },
    .setup = [](offwaketime_bpf& s, Options& o,
                const Session&) { prepare_off(o, s.rodata->off_cfg, s.maps.off_tasks); },
    .banner =
        [](const Options& o, const Session& session) {
            return off_banner("blocked",
                              o.user_only     ? "user off-CPU and waker stack"
                              : o.kernel_only ? "kernel off-CPU and waker stack"
                                              : "user + kernel off-CPU and waker stack",
                              o, session);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
