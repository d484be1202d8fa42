// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "offcputime.h"
#include "offcpu.hpp"
#include "output/task_fields.hpp"
#include "offcputime.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(offcputime_bpf::progs);

struct Options : OffOptions {
};

constexpr Example kExamples[] = {
    {"offcputime 10", "Trace all threads for ten seconds"},
    {"offcputime -p 181 -m 1000 --state D",
     "Show uninterruptible waits of process 181 of at least 1 ms"},
    {"offcputime --flame out.svg -- make", "Draw a flame graph of the time that a command waits"},
    {"offcputime -df 10 > out.folded", "Write folded stacks for other tools"},
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}};

constexpr Column kColumns[] = {
    stack_column::comm,
    stack_column::pid,
    stack_column::tid,
    col<[](const StackRow& r) { return state_letter(r.detail); }>(
        "state", "STATE", 5,
        "State while off the CPU: R runnable, S sleeping, D uninterruptible, ..."),
    col<&StackRow::events>("count", "COUNT", -8, "Number of periods off the CPU"),
    col<[](const StackRow& r) { return r.total / 1000; }>("total_us", "TOTAL(us)", -12,
                                                          "Total time off the CPU in microseconds"),
    stack_column::user,
    stack_column::kernel,
    stack_column::user_address,
    stack_column::kernel_address,
};

constexpr Column kFields[] = {
    task_field::microseconds("off_us", "Time off the CPU in microseconds"),
    task_field::nanoseconds("off_ns", "The same in nanoseconds"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Need kNeeds[] = {
    {"threads that leave a CPU and get one",
     {rung<&Progs::switch_tp_btf>("tp_btf"), rung<&Progs::switch_raw_tp>("raw_tp")}},
};

constexpr Stacks<offcputime_bpf, Options> kTool{
    .about = {.name = "offcputime",
              .area = "sched",
              .summary = "Show the time that threads spend off the CPU, by stack",
              .details = "Measures the time from when a thread leaves its CPU until it runs again. "
                         "Sums it by process, user stack and kernel stack, and prints the sums at "
                         "the end, the largest last.",
              .examples = kExamples},
    .options = kOffStackOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit = {.name = "microseconds", .total = true, .divisor = 1000},
    .prepare = [](Options& o, Session&) { check_off_options(o); },
    .setup = [](offcputime_bpf& s, Options& o,
                const Session&) { prepare_off(o, s.rodata->off_cfg, s.maps.off_tasks); },
    .banner =
        [](const Options& o, const Session& session) {
            return off_banner("off-CPU",
                              o.user_only     ? "user stack"
                              : o.kernel_only ? "kernel stack"
                                              : "user + kernel stack",
                              o, session);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
