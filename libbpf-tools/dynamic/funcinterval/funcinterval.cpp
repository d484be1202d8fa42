// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funcinterval.h"
#include "../function_where.hpp"
#include "call.hpp"
#include "kernel/insn.hpp"
#include "points_option.hpp"
#include "shape/histogram.hpp"
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/filter.h>

#include "funcinterval.skel.h"

namespace
{
using namespace corebox;
using P = decltype(funcinterval_bpf::progs);

struct Options : funcinterval_config {
    FunctionProbes* probes = nullptr;
    std::unique_ptr<FunctionProbes> owned{};
    std::array<Target, 1> one{}; // the only function, if it is the kernel's
    std::string_view pattern;
    bool microseconds = false, milliseconds = false;
    PointCondition condition;
    std::span<const Need> needs{}; // of this run
};

constexpr Example kExamples[] = {
    {"funcinterval do_nanosleep", "Measure the time between calls of do_nanosleep()"},
    {"funcinterval -m c:malloc -p 181 -i 5",
     "Measure the time between calls of malloc() in process 181"},
    {"funcinterval -u t:block:block_rq_issue", "Measure the time between block requests"},
    {"funcinterval -u --per-thread vfs_read", "Measure the time between reads by the same thread"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pattern>(0, "pattern", "PATTERN",
                           "Events: vfs_read, c:malloc, t:block:block_rq_issue, u:lib:probe"),
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time above each report"),
    flag<&Options::microseconds>('u', "microseconds", "Show microseconds"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    flag<&Options::per_thread>(0, "per-thread", "Measure between hits of the same thread"),
    show('r', "regexp", "Treat the pattern as a regular expression"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'d', "duration"}, {'c', "cgroup"}};

constexpr Need kThreadsNeed{.what = "threads as they end",
                            .rungs = {rung<&P::thread_gone>("raw_tp")},
                            .option = "per-thread"};

// Pairs, of which a run has one.
constexpr Need kNeeds[] = {
    {.what = "calls of the function",
     .rungs = {rung<&P::hit_fentry>("fentry"),
               point_rung<&P::function_multi, &FunctionProbes::attach_multi, Options>(
                   "kprobe.multi", {}, kKprobeMultiFunction),
               point_rung<&P::function_kprobe, &FunctionProbes::attach_kprobes, Options>("kprobe")},
     .chosen = true},
    kThreadsNeed,
    kPointNeeds<funcinterval_bpf, Options>[0],
    kThreadsNeed,
    kPointNeeds<funcinterval_bpf, Options>[1],
    kThreadsNeed,
    kPointNeeds<funcinterval_bpf, Options>[2],
    kThreadsNeed,
};

std::span<const Need> chosen_needs(const Options& o)
{
    using enum Point::Kind;
    const Point::Kind kind = o.probes->kind();
    const std::size_t pair = kind == kernel       ? (o.one[0].slot.empty() ? 1 : 0)
                             : kind == tracepoint ? 3
                                                  : 2;
    return std::span(kNeeds).subspan(2 * pair, 2);
}

Unit unit(const Options& o)
{
    return o.milliseconds   ? Unit{"msecs", 1'000'000}
           : o.microseconds ? Unit{"usecs", 1'000}
                            : Unit{"nsecs", 1};
}

bool is_exchange(const bpf_insn& i)
{
    return i.code == (BPF_STX | BPF_ATOMIC | BPF_DW) && i.imm == BPF_CMPXCHG;
}

// Asked of the kernel itself, with a program that does nothing else.
bool kernel_exchanges()
{
    const bpf_insn code[] = {
        insn::mov_imm(BPF_REG_0, 0),
        insn::store(BPF_REG_10, -8, BPF_REG_0),
        insn::any(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_10, BPF_REG_0, -8, BPF_CMPXCHG),
        insn::exit(),
    };
    return bool(Fd(bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "exchange", "GPL", code,
                                 std::size(code), nullptr)));
}

void store_instead(bpf_program* program)
{
    const bpf_insn* first = bpf_program__insns(program);
    std::vector<bpf_insn> code(first, first + bpf_program__insn_cnt(program));
    for (bpf_insn& i : code)
        if (is_exchange(i)) {
            i.code = BPF_STX | BPF_MEM | BPF_DW;
            i.imm = 0;
        }
    bpf_program__set_insns(program, code.data(), code.size());
}

void prepare(Options& o, Session& session)
{
    if (o.pattern.empty())
        fail_usage("missing PATTERN; for example: funcinterval vfs_read");
    if (o.microseconds && o.milliseconds)
        fail_usage("--microseconds and --milliseconds exclude each other");
    const PointPattern pattern(o.pattern);
    if (pattern.returns)
        fail_usage("'r' in the pattern is not supported: remove it");
    auto points = find_points(pattern, session);
    if (points.empty())
        fail("cannot find what the pattern matches", ENOENT);
    o.owned = std::make_unique<FunctionProbes>(std::move(points), only_process(session));
    o.probes = o.owned.get();
    const Point& first = o.probes->functions()[0];
    if (o.probes->functions().size() == 1 && first.kind == Point::Kind::kernel)
        o.one[0] = {"%function", first.name, first.module};
    o.unit_ns = unit(o).raw;
    o.condition.take(session);
    o.needs = o.condition.apply(session, *o.probes, chosen_needs(o), !o.one[0].slot.empty(),
                                funcinterval_bpf::elf_bytes);
}

constexpr Histogram<funcinterval_bpf, Options, std::uint32_t> kTool{
    .about = {.name = "funcinterval",
              .area = "dynamic",
              .summary = "Show the time between calls of a function as a histogram",
              .details = "Measures the time from one event to the next: calls of a function or of "
                         "several functions, or hits of a tracepoint or USDT probe.",
              .examples = kExamples,
              .smoke = {"vfs_read"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .needs = kNeeds,
    .fields = kCallFields,
    .unit = unit,
    .totals = true,
    .targets = [](const Options& o) { return Targets(o.one).first(o.one[0].slot.empty() ? 0 : 1); },
    .setup =
        [](funcinterval_bpf& s, Options& o, const Session&) {
            prepare_points(s, *o.probes);
            s.rodata->cb_function_where = o.condition.config();
            s.rodata->cb_functions.count = std::uint32_t(o.probes->functions().size());
            bpf_map__set_autocreate(s.maps.cb_calls, false);
            bpf_map__set_max_entries(s.maps.cb_lasts, o.per_thread ? call_threads_room() : 1);
            bpf_program* program = nullptr;
            if (!kernel_exchanges())
                bpf_object__for_each_program(program, s.obj) store_instead(program);
        },
    .prepare = prepare,
    .chosen = [](const Options& o) { return o.needs; },
    .attached =
        [](const Options& o, const Session& session) {
            const std::size_t all = o.probes->functions().size();
            say_traced(o.one[0].slot.empty() ? o.probes->attached() : 1, all, session);
        },
    .detached = [](funcinterval_bpf&, Options& o, Account&) { o.probes->detach(); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
