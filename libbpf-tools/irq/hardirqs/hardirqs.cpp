// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "hardirqs.h"
#include "handler.hpp"
#include <map>

#include "hardirqs.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(hardirqs_bpf::progs);

struct Options : HandlerOptions {
    bool vectors = false;
};

constexpr Example kExamples[] = {
    {"hardirqs", "Sum the time of each interrupt handler until Ctrl-C"},
    {"hardirqs -C 1 10", "Count runs without measuring times, every second"},
    {"hardirqs --vectors --per-cpu 5", "Include timer and inter-processor interrupts, by CPU"},
    {"hardirqs -d 10 1 --json", "Print histograms of ten seconds, as JSON"},
};

constexpr Option kOptions[] = {
    handler_option::timestamp,
    handler_option::nanoseconds,
    handler_option::dist,
    also_named("count", handler_option::events),
    handler_option::cpu,
    handler_option::per_cpu,
    flag<&Options::vectors>(0, "vectors", "Include interrupts without a driver: timer, IPIs"),
};

constexpr Letter kLetters[] = {{'s', "cpu"}}; // of libbpf-tools, for which -c is a cgroup

constexpr Column kColumns[] = {
    col<[](const HandlerRow& r) { return Value(std::string_view(r.name)); }>(
        "hardirq", "HARDIRQ", 26, "Name of the interrupt handler"),
    handler_column::cpu,
    col<[](const HandlerRow& r) { return r.irq ? Value(*r.irq) : Value(Absent{}); }>(
        "irq", "IRQ", -5, "Interrupt number", kJsonOnly),
    handler_column::total_us,
    handler_column::total_ns,
    handler_column::count,
    handler_column::max_us,
    handler_column::max_ns,
    handler_column::time,
};

constexpr Column kFields[] = {handler_field::irq, handler_field::name, handler_field::cpu,
                              handler_field::lat_us, handler_field::lat_ns};

constexpr Need kNeeds[] = {
    {"interrupt handlers as they end",
     {rung<&Progs::exit_tp_btf>("tp_btf"), rung<&Progs::exit_raw_tp>("raw_tp")}},
    {"interrupt handlers as they begin", {rung<&Progs::entry_raw_tp>("raw_tp")}, "!events"},
    {"timer and rescheduling interrupts",
     {rung<&Progs::timer_exit, &Progs::timer_entry, &Progs::resched_exit, &Progs::resched_entry>(
         "raw_tp")},
     "vectors"},
    {"other interrupts between processors",
     {rung<&Progs::call_exit, &Progs::call_entry, &Progs::call1_exit, &Progs::call1_entry,
           &Progs::work_exit, &Progs::work_entry, &Progs::ipi_exit, &Progs::ipi_entry>("raw_tp")},
     "vectors"},
};

constexpr std::uint32_t kHandlers = 512, kHandlersOfACpu = 16;

constexpr Table<hardirqs_bpf, Options, HandlerRow> kTool{
    .about = {.name = "hardirqs",
              .area = "irq",
              .summary = "Show the time that interrupt handlers take",
              .details = "Prints one line for each handler of device interrupts: the total time, "
                         "the number of runs, and the longest run.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = [](Options& o, Session& session) { check_handlers(session, o); },
    .setup =
        [](hardirqs_bpf& s, Options& o, const Session&) {
            setup_handlers(s, o);
            bpf_map__set_max_entries(s.maps.cb_top,
                                     2 * (kHandlers + kHandlersOfACpu * cpu_limit()));
        },
    .fill =
        [](hardirqs_bpf& s, Options& o) {
            o.places.map(s.maps.cpus);
            // By their numbers; the names of the tracepoints.
            o.fixed_names = {"local_timer",          "reschedule", "call_function",
                             "call_function_single", "irq_work",   "x86_platform_ipi"};
        },
    .take =
        [](hardirqs_bpf& s, Options& o, __u32 generation, std::vector<HandlerRow>& rows) {
            const Entries entries(s.maps.cb_top, generation);
            for (std::size_t i = 0; i < entries.size(); i++) {
                const auto& key = entries.key<handler_key>(i);
                HandlerRow& row = rows.emplace_back();
                row.irq = key.number;
                row.cpu = key.cpu;
                row.timed = !o.counts_only;
                entries.values<handler_named>(i, [&](const handler_named& h) {
                    row.name = c_str(h.name);
                    row.totals = h.totals;
                });
            }
            if (o.vectors)
                take_fixed(o, generation, rows);
            join_cpus(rows, o.per_cpu);
        },
    .weight = [](const HandlerRow& r, const Options& o) -> std::uint64_t {
        return o.counts_only ? r.totals.count : r.totals.total_ns;
    },
    .events = [](const HandlerRow& r) -> std::uint64_t { return r.totals.count; },
    .distributed = [](const Options& o) -> bool { return o.distributed; },
    .unit = [](const Options& o) { return handler_unit(o); },
    .key_columns = 3,
    .take_distributions =
        [](hardirqs_bpf& s, Options& o, __u32 generation,
           std::vector<std::pair<HandlerRow, Distribution>>& all) {
            const Entries entries(s.maps.cb_top, generation);
            std::map<__u64, std::string> names;
            for (std::size_t i = 0; i < entries.size(); i++)
                entries.values<handler_named>(i, [&](const handler_named& h) {
                    names[entries.key<handler_key>(i).name] = c_str(h.name);
                });
            take_handler_histograms(s, o, generation, all,
                                    [&](HandlerRow& row, const handler_key& key) {
                                        row.name = names[key.name];
                                        row.irq = key.number;
                                    });
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
